import Foundation
import Interactions
import Storage

/// The unit roundoff of `Float`: the largest relative error of one correctly rounded operation.
let roundoff = 0x1p-24

/// A fresh directory that is removed with its object.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "inverse-training-\(UUID().uuidString)"
    try Files.createDirectory(path)
  }

  deinit { try? Files.remove(path) }

  /// Writes a file and returns its path.
  func write(_ text: String, to name: String) throws -> String {
    let file = "\(path)/\(name)"
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    return file
  }
}

/// The failure that `body` throws.
func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}

/// Reproducible test values (SplitMix64).
struct Draws {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A whole number in `0 ..< bound`.
  mutating func integer(below bound: Int) -> Int {
    Int(word().multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// A multiple of 2⁻²³ in `[-1, 1)`.
  mutating func float() -> Float { Float(Int(word() >> 40) - (1 << 23)) * 0x1p-23 }
}

/// A small interaction log, split already.
struct ToyLog {
  private var train = ""
  private var valid = ""
  private var test = ""

  enum Split { case train, valid, test }

  mutating func add(_ user: Int, _ item: Int, _ rating: Int?, to split: Split = .train) {
    let line = "u\(user)\ti\(item)" + (rating.map { "\t\($0)" } ?? "") + "\n"
    switch split {
    case .train: train += line
    case .valid: valid += line
    case .test: test += line
    }
  }

  /// Prepares the log under `name`.
  func prepare(
    in directory: TemporaryDirectory, as name: String = "data", shards: Int = 8,
    sequences: Bool = false
  ) throws -> Dataset {
    var options = PreparationOptions(
      source: .split(
        train: try directory.write(train, to: "\(name)-train.tsv"),
        valid: try directory.write(valid, to: "\(name)-valid.tsv"),
        test: try directory.write(test, to: "\(name)-test.tsv")),
      shards: shards, seed: 5)
    options.keepsSequences = sequences
    _ = try Preparation.run(options, output: "\(directory.path)/\(name)")
    return try Dataset.open("\(directory.path)/\(name)")
  }

  /// 41 users of very different activity and 29 items: about 280 labeled rows and 90 exposures;
  /// some users have no exposures.
  ///
  /// - Parameter withOmnivore: Adds a user who meets every item in training, so that nothing is
  ///   left to sample.
  /// - Returns: The log.
  static func uneven(withOmnivore: Bool = false) -> ToyLog {
    var log = ToyLog()
    for user in 0..<41 {
      var draws = Draws(seed: UInt64(user))
      for item in 0..<29 where draws.integer(below: 100) < 15 + 70 / (user / 2 + 1) {
        let likes = draws.integer(below: 10) < ((user + item) % 2 == 0 ? 8 : 2)
        switch draws.integer(below: 10) {
        case 0: log.add(user, item, likes ? 5 : 1, to: .valid)
        case 1: log.add(user, item, likes ? 5 : 1, to: .test)
        case 2, 3: log.add(user, item, user % 3 == 0 ? 4 : nil)
        default: log.add(user, item, likes ? 5 : 1)
        }
      }
    }
    if withOmnivore { for item in 0..<29 { log.add(99, item, item % 3 == 0 ? nil : 1 + item % 5) } }
    return log
  }

  /// Users like items of their own parity. Users and items are 24 each; a third of the pairs have
  /// labels. Withheld are the diagonal and, beside it, four items of the other parity per user.
  static func checkerboard() -> ToyLog {
    var log = ToyLog()
    let count = 24
    for user in 0..<count {
      for item in 0..<count {
        let distance = (item - user + count) % count
        let rating = distance % 2 == 0 ? 5 : 1
        switch distance {
        case 0, 1, 3, 5, 7: log.add(user, item, rating, to: .test)
        case 2, 9: log.add(user, item, rating, to: .valid)
        default: if (user * 5 + item * 7) % 3 == 0 { log.add(user, item, rating) }
        }
      }
    }
    return log
  }
}
