import Foundation

// Fences do not end in a meeting: a rank that has arrived goes on. What would hang is noticed
// because all ranks call the same halves in the same order, which is compared at each of them.
extension Meeting {
  /// Counts the arrival of `rank`, neighbour number `index`, at the next fence of `block`.
  ///
  /// - Throws: `CallMismatch` when another rank called something else, `PeerFailure` when one has
  ///   failed.
  func arrive(_ rank: Int, _ index: Int, at block: LocalMemory.Block) throws {
    condition.lock()
    defer { condition.unlock() }
    if let obstacle { throw obstacle }
    try note(LocalMemory.Half(isArrival: true, block: block), of: rank)
    block.arrivals[index] += 1
    condition.broadcast()
  }

  /// Waits until all neighbours have arrived as often as `rank`, neighbour number `index`.
  ///
  /// - Throws: `CallMismatch` when one of them will not arrive because it called something else or
  ///   has returned, `PeerFailure` when one has failed.
  func wait(_ rank: Int, _ index: Int, at block: LocalMemory.Block) throws {
    condition.lock()
    defer { condition.unlock() }
    if let obstacle { throw obstacle }
    let half = LocalMemory.Half(isArrival: false, block: block)
    try note(half, of: rank)
    let round = block.arrivals[index]
    waiting[rank] = half
    defer { waiting[rank] = nil }
    while let late = block.late(for: round) {
      if let obstacle { throw obstacle }
      if finished[late] { try fail(with: CallMismatch(rank, half.title, late, "returned")) }
      if arrived[late] {
        try fail(with: CallMismatch(rank, half.title, late, calls[late].title))
      }
      condition.wait()
    }
  }

  /// Stops a rank from going to a meeting while another one waits for it at a fence.
  func refuseToLeaveWaiting(_ rank: Int, _ title: String) throws {
    for (other, half) in waiting.enumerated() {
      guard let half, half.block.isLate(rank) else { continue }
      try fail(with: CallMismatch(other, half.title, rank, title))
    }
  }

  /// Compares how many halves the ranks called before they met.
  func requireSameHalves() throws {
    guard let other = halfCounts.firstIndex(where: { $0 != halfCounts[0] }) else {
      halves.removeAll(keepingCapacity: true)
      for rank in halfCounts.indices { halfCounts[rank] = 0 }
      return
    }
    try fail(
      with: CallMismatch(
        0, "\(calls[0].title) after \(halfCounts[0]) halves of fences",
        other, "\(calls[other].title) after \(halfCounts[other]) halves of fences"))
  }

  private func note(_ half: LocalMemory.Half, of rank: Int) throws {
    let position = halfCounts[rank]
    halfCounts[rank] += 1
    guard position < halves.count else { return halves.append(half) }
    guard halves[position].isSame(as: half) else {
      let other = halfCounts.indices.first { $0 != rank && halfCounts[$0] > position } ?? rank
      try fail(with: CallMismatch(other, halves[position].title, rank, half.title))
    }
  }
}
