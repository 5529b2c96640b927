/// Finds which values of a list that is spread over all ranks are the smallest.
///
/// The list is that of rank 0, then that of rank 1, and so on. Of equal values the earlier is the
/// smaller, so the choice is unique and does not depend on how the list is dealt to ranks, as long
/// as its order stays.
///
/// Radix selection: three histograms, of 11, 10 and 10 bits, each added over the ranks, find the
/// largest value that is kept; then the ranks tell how often they have it.
@safe
package final class SmallestSelection {
  /// What a rank keeps: all values below `bound`, and the first `ties` of those equal to it.
  package struct Cut: Equatable, Sendable {
    package let bound: UInt32
    package let ties: Int
  }

  private static let digits: [(shift: UInt32, bits: UInt32)] = [(20, 11), (10, 10), (0, 10)]

  private let group: any ProcessGroup
  private let histogram: UnsafeMutableBufferPointer<Int64>
  private let counts: UnsafeMutableBufferPointer<Int64>
  private let parts: Partition

  package init(group: any ProcessGroup) {
    self.group = group
    unsafe histogram = .allocate(capacity: 1 << 11)
    unsafe histogram.initialize(repeating: 0)
    unsafe counts = .allocate(capacity: group.size)
    unsafe counts.initialize(repeating: 0)
    parts = Partition(counts: [Int](repeating: MemoryLayout<Int64>.size, count: group.size))
  }

  deinit {
    unsafe histogram.deallocate()
    unsafe counts.deallocate()
  }

  /// Finds the cut that leaves `kept` values over all ranks.
  ///
  /// - Parameters:
  ///   - values: `(count)`: this rank's part of the list; below 2³¹.
  ///   - count: Its length; ranks may differ.
  ///   - kept: The same on all ranks, at least 0 and less than there are values.
  /// - Returns: What this rank keeps.
  /// - Throws: What the group throws.
  /// - Complexity: O(count); four collectives if there are several ranks: three sums of 16 or 8 KiB
  ///   and one of 8 bytes per rank. No allocation.
  package func cut(
    _ values: UnsafePointer<UInt32>, count: Int, keeping kept: Int
  ) throws -> Cut {
    var (prefix, rest) = (UInt32(0), Int64(kept))
    for digit in Self.digits {
      unsafe fill(values, count: count, digit, prefix: prefix)
      if group.size > 1 {
        unsafe try group.sum(UnsafeMutableBufferPointer(rebasing: histogram[..<(1 << digit.bits)]))
      }
      var bin = 0
      while bin < (1 << digit.bits) - 1, unsafe rest >= histogram[bin] {
        unsafe rest -= histogram[bin]
        bin += 1
      }
      prefix |= UInt32(truncatingIfNeeded: bin) << digit.shift
    }
    return Cut(bound: prefix, ties: unsafe Int(try ties(values, count: count, prefix, rest)))
  }

  /// Counts the values that begin with the digits found so far, by their next digit.
  private func fill(
    _ values: UnsafePointer<UInt32>, count: Int, _ digit: (shift: UInt32, bits: UInt32),
    prefix: UInt32
  ) {
    let bins = unsafe histogram.baseAddress
    guard let bins = unsafe bins else { return }
    let mask = UInt32(1) << digit.bits - 1
    let above = digit.shift + digit.bits
    unsafe bins.update(repeating: 0, count: Int(mask) + 1)
    for index in 0..<count {
      let value = unsafe values[index]
      if value >> above == prefix >> above {
        unsafe bins[Int(value >> digit.shift & mask)] &+= 1
      }
    }
  }

  /// How many of the `rest` values equal to `bound` that are kept are this rank's.
  private func ties(
    _ values: UnsafePointer<UInt32>, count: Int, _ bound: UInt32, _ rest: Int64
  ) throws -> Int64 {
    var own = Int64(0)
    for index in 0..<count where unsafe values[index] == bound { own += 1 }
    guard group.size > 1 else { return min(own, rest) }
    unsafe try withUnsafeBytes(of: own) {
      unsafe try group.gather($0, into: UnsafeMutableRawBufferPointer(counts), parts)
    }
    var before = Int64(0)
    for rank in 0..<group.rank { unsafe before += counts[rank] }
    return min(own, max(0, rest - before))
  }
}
