import Foundation

/// A rank that is a thread: several ranks in one process, for tests.
///
/// Made by ``run(ranks:ranksPerMachine:_:)``. It behaves like the ranks of a job, and never hangs: when a rank
/// throws or returns early, the pending and later calls of the others throw, and calls that do
/// not fit together throw ``CallMismatch`` on all ranks, naming two of them.
package final class LocalGroup: ProcessGroup {
  package let rank: Int
  package let size: Int
  package internal(set) var traffic = Traffic()
  package let machines: MachineMap
  package let position = RankPosition()
  let meeting: Meeting
  /// The open memories by their numbers, which all ranks count alike.
  var memories: [Int: LocalMemory.Block] = [:]
  var memoryCount = 0

  init(rank: Int, machines: [Int], meeting: Meeting) {
    self.rank = rank
    size = machines.count
    self.machines = MachineMap(keys: machines, rank: rank)
    self.meeting = meeting
  }

  /// Runs `body` on every rank at the same time.
  ///
  /// - Parameters:
  ///   - ranks: How many, at least 1.
  ///   - ranksPerMachine: How many ranks, in order, make believe that they are one machine and the
  ///     others are elsewhere; `nil` for one machine.
  ///   - body: Called once for each rank on a thread of its own, with a stack of 64 MiB.
  /// - Returns: What each rank returned, in rank order.
  /// - Throws: The error that came first; errors of other ranks that follow from it are dropped.
  package static func run<T: Sendable>(
    ranks: Int, ranksPerMachine: Int? = nil,
    _ body: @escaping @Sendable (LocalGroup) throws -> T
  ) throws -> [T] {
    precondition(ranks >= 1, "a group has at least one rank")
    let map = MachineMap.runs(of: ranksPerMachine, size: ranks, rank: 0)
    return try run(machines: map.machines, body)
  }

  /// Runs `body` on one rank for each element of `machines`, which says on which machine that makes
  /// believe it is; otherwise as ``run(ranks:ranksPerMachine:_:)``.
  package static func run<T: Sendable>(
    machines: [Int], _ body: @escaping @Sendable (LocalGroup) throws -> T
  ) throws -> [T] {
    let meeting = Meeting(size: machines.count)
    let results = Results<T>(count: machines.count)
    for rank in machines.indices {
      let thread = Thread {
        do {
          let group = LocalGroup(rank: rank, machines: machines, meeting: meeting)
          results.set(rank, try body(group))
          meeting.finish(rank, nil)
        } catch {
          meeting.finish(rank, error)
        }
      }
      thread.stackSize = 64 << 20
      thread.start()
    }
    if let error = meeting.waitForAll() { throw error }
    return results.all
  }

  package func abort(_ reason: String, code: Int32) -> Never {
    writeToStandardError(line: failureLine(reason, rank: rank))
    exit(code == 0 ? 1 : code)
  }

  /// Meets the other ranks, runs `body`, and meets them again: inside `body` every rank may read
  /// what the others posted.
  func together(_ call: Meeting.Call, _ body: () -> Void) throws {
    try meeting.meet(rank, call)
    body()
    unsafe try meeting.meet(rank, Meeting.Call(title: "end of \(call.title)"))
  }
}

/// One place per thread for what it returns.
///
/// Safe to share: every access holds the lock.
private final class Results<T: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [T?]

  init(count: Int) { values = [T?](repeating: nil, count: count) }

  func set(_ index: Int, _ value: T) {
    lock.withLock { values[index] = value }
  }

  var all: [T] { lock.withLock { values.compactMap { $0 } } }
}
