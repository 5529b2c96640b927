/// libFuzzer's own mutations: bits, bytes, blocks, words of its dictionary.
@_silgen_name("LLVMFuzzerMutate")
private func mutateBytes(
  _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ capacity: Int
) -> Int

/// One mutation of an input in place: every other one knows of lines, numbers and JSON.
///
/// A function of the input and the seed, so runs with the same `-seed` and corpus repeat.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutateInput(
  _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ capacity: Int, _ seed: UInt32
) -> Int {
  guard seed % 2 == 1, count > 1 else { return unsafe mutateBytes(bytes, count, capacity) }
  let input = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count))
  var mutator = TextMutator(text: input, state: UInt64(seed))
  let mutated = mutator.mutated().prefix(capacity)
  for (place, byte) in mutated.enumerated() { unsafe bytes[place] = byte }
  return mutated.count
}

/// Changes of text that random bytes seldom make.
struct TextMutator {
  let text: [UInt8]
  /// Of a generator by Steele, Lea and Flood (splitmix64).
  var state: UInt64

  private static let extremes = [
    "0", "-1", "1", "4294967295", "4294967296", "2147483647", "2147483648", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "-9223372036854775808", "1e308", "1e309",
    "0.5", "5e-324", "nan", "null", "[]", "{}", "\"\"", "true", "00", "1.0", "281474976710656",
  ]

  private mutating func random(below bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return Int((word ^ word >> 31) % UInt64(max(1, bound)))
  }

  /// The text with one change; unchanged when the kind that was drawn finds nothing to change.
  mutating func mutated() -> [UInt8] {
    switch random(below: 6) {
    case 0: replacingNumber()
    case 1: rearranging(at: UInt8(ascii: "\n"))
    case 2: rearranging(at: UInt8(ascii: ","))
    case 3: rearranging(at: [0x09, 0x20, 0x3A, 0x7B, 0x5B][random(below: 5)])
    case 4: nesting()
    default: replacingNumber()
    }
  }

  private mutating func replacingNumber() -> [UInt8] {
    let runs = ranges { $0 >= 0x30 && $0 <= 0x39 }
    guard !runs.isEmpty else { return text }
    let extreme = Array(Self.extremes[random(below: Self.extremes.count)].utf8)
    return replacing(runs[random(below: runs.count)], with: extreme)
  }

  /// Doubles, removes or swaps parts that end with a byte.
  private mutating func rearranging(at separator: UInt8) -> [UInt8] {
    let parts = ranges { $0 != separator }
    guard parts.count > 1 else { return text }
    let (first, second) = (random(below: parts.count), random(below: parts.count))
    let (low, high) = (parts[min(first, second)], parts[max(first, second)])
    switch random(below: 3) {
    case 0:
      return replacing(low.upperBound..<low.upperBound, with: [separator] + Array(text[low]))
    case 1: return replacing(low.lowerBound..<min(low.upperBound + 1, text.count), with: [])
    default:
      guard low != high else { return text }
      let between = Array(text[low.upperBound..<high.lowerBound])
      return replacing(
        low.lowerBound..<high.upperBound, with: Array(text[high]) + between + Array(text[low]))
    }
  }

  /// Puts many brackets somewhere.
  private mutating func nesting() -> [UInt8] {
    let openings: [UInt8] = Array("[{(-&*!\"'".utf8)
    let opening = openings[random(below: openings.count)]
    let place = random(below: text.count)
    return replacing(
      place..<place, with: [UInt8](repeating: opening, count: 1 << random(below: 12)))
  }

  private func replacing(_ range: Range<Int>, with part: [UInt8]) -> [UInt8] {
    var changed = text
    changed.replaceSubrange(range, with: part)
    return changed
  }

  private func ranges(where holds: (UInt8) -> Bool) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    var start: Int?
    for (place, byte) in text.enumerated() {
      if holds(byte) {
        start = start ?? place
      } else if let begun = start {
        runs.append(begun..<place)
        start = nil
      }
    }
    if let start { runs.append(start..<text.count) }
    return runs
  }
}
