internal import CMPI
package import Fabric

/// The ranks of an MPI job.
///
/// Made by ``withMPI(maximumCount:verifiesCalls:ranksPerMachine:watch:_:onError:)``, and used from
/// the thread that called it. MPI counts in 32 bits; transfers that need more are split, see the single methods. No method
/// allocates, unless a transfer must be split, calls are verified, a file is opened or memory is
/// shared.
///
/// Safe to use: the stored pointers are this object's own scratch memory, of fixed size.
@safe
package final class Communicator: ProcessGroup {
  package let rank: Int
  package let size: Int
  package internal(set) var traffic = Traffic()
  /// The largest count, and the largest displacement, that is given to MPI.
  let maximumCount: Int
  let verifiesCalls: Bool
  package let position = RankPosition()
  /// What this rank has called.
  let calls = CallHistory()
  /// How often transfers had to be split, for tests.
  package internal(set) var splits = Splits()
  /// Where the values of a small maximum and two ends of the tag travel together.
  let control: UnsafeMutableBufferPointer<Int64>
  package let machines: MachineMap
  package let hosts: [String]
  /// Watches this rank, if anyone does.
  var watchdog: Watchdog?
  /// The ranks of ``machines``'s neighbours.
  let neighbours: MPI_Comm?
  /// The memories that are not closed, in the order in which they were made.
  var memories: [CommunicatorMemory] = []
  /// How many memories were made, which all ranks count alike.
  var memoryCount = 0
  /// All routes, which live as long as this.
  var routes: [CommunicatorRoute] = []
  let send: ExchangeArguments
  let receive: ExchangeArguments

  init(
    maximumCount: Int, verifiesCalls: Bool, ranksPerMachine: Int?
  ) throws(MPIError) {
    precondition(
      (1...Int(Int32.max)).contains(maximumCount), "counts of MPI are in 1 ... 2³¹ − 1")
    var (rank, size): (CInt, CInt) = (0, 0)
    unsafe try check("MPI_Comm_rank", MPI_Comm_rank(MPI_COMM_WORLD, &rank))
    unsafe try check("MPI_Comm_size", MPI_Comm_size(MPI_COMM_WORLD, &size))
    self.rank = Int(rank)
    self.size = Int(size)
    self.maximumCount = maximumCount
    self.verifiesCalls = verifiesCalls
    unsafe control = .allocate(capacity: Self.controlLength)
    unsafe control.initialize(repeating: 0)
    send = ExchangeArguments(size: Int(size))
    receive = ExchangeArguments(size: Int(size))
    unsafe neighbours = try Self.neighbours(of: Int(rank), ranksPerMachine)
    machines = unsafe try Self.machines(of: Int(rank), Int(size), neighbours)
    hosts = try Self.hosts(count: Int(size))
  }

  deinit { unsafe control.deallocate() }

  /// Gives every rank the contributions of all.
  ///
  /// One `MPI_Allgatherv`; when the result exceeds the largest count, which all ranks see alike,
  /// one ``broadcast(_:from:)`` for each contribution instead.
  package func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) throws {
    unsafe requireGather(send, receive, parts)
    try begin(.gather, count: parts.total, detail: parts.counts.hashed)
    defer { calls.end() }
    traffic.count(send.count, of: size)
    guard parts.total <= maximumCount else {
      splits.gathers += 1
      unsafe UnsafeMutableRawBufferPointer(rebasing: receive[parts.range(of: rank)])
        .copyMemory(from: send)
      for root in 0..<size {
        unsafe try transfer(
          UnsafeMutableRawBufferPointer(rebasing: receive[parts.range(of: root)]), root)
      }
      return
    }
    let arguments = self.receive
    for peer in 0..<size {
      unsafe arguments.counts[peer] = CInt(parts.counts[peer])
      unsafe arguments.offsets[peer] = CInt(parts.offsets[peer])
    }
    unsafe try check(
      "MPI_Allgatherv",
      MPI_Allgatherv(
        send.baseAddress, CInt(send.count), MPI_BYTE, receive.baseAddress, arguments.counts,
        arguments.offsets, MPI_BYTE, MPI_COMM_WORLD))
  }

  /// Overwrites `bytes` on every rank with those of rank `root`: one `MPI_Bcast` for each
  /// `maximumCount` bytes.
  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    requireRoot(root)
    try begin(.broadcast, count: bytes.count, detail: Int64(root))
    defer { calls.end() }
    traffic.count(rank == root ? bytes.count : 0, of: size)
    unsafe try transfer(bytes, root)
  }

  private func transfer(_ bytes: UnsafeMutableRawBufferPointer, _ root: Int) throws(MPIError) {
    if bytes.count > maximumCount { splits.broadcasts += 1 }
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, maximumCount)
      unsafe try check(
        "MPI_Bcast",
        MPI_Bcast(
          bytes.baseAddress?.advanced(by: done), CInt(count), MPI_BYTE, CInt(root),
          MPI_COMM_WORLD))
      done += count
    }
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    unsafe try reduce(values, MPI_FLOAT, MPI_SUM, .sumFloat)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Double>) throws {
    unsafe try reduce(values, MPI_DOUBLE, MPI_SUM, .sumDouble)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    unsafe try reduce(values, MPI_INT64_T, MPI_SUM, .sumInt64)
  }

  /// A small one also tells whether all ranks have made the same calls so far.
  package func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    let count = values.count
    guard size > 1, count + 2 <= Self.controlLength else {
      return unsafe try reduce(values, MPI_INT64_T, MPI_MAX, .maximum)
    }
    try begin(.maximum, count: count, detail: 0)
    defer { calls.end() }
    traffic.count(count * MemoryLayout<Int64>.stride, of: size)
    for index in 0..<count { unsafe control[index] = unsafe values[index] }
    unsafe control[count] = calls.tag
    unsafe control[count + 1] = ~calls.tag
    unsafe try reduce(
      UnsafeMutableBufferPointer(rebasing: control[..<(count + 2)]), MPI_INT64_T, MPI_MAX,
      &splits.maxima)
    for index in 0..<count { unsafe values[index] = unsafe control[index] }
    // The largest of ~x is the complement of the smallest x.
    if unsafe control[count] != ~control[count + 1] { try explainDivergence() }
  }

  /// One `MPI_Allreduce` for each `maximumCount` elements.
  private func reduce<Element>(
    _ values: UnsafeMutableBufferPointer<Element>, _ type: MPI_Datatype?, _ operation: MPI_Op?,
    _ call: CallKind
  ) throws {
    try begin(call, count: values.count, detail: 0)
    defer { calls.end() }
    traffic.count(values.count * MemoryLayout<Element>.stride, of: size)
    switch call {
    case .sumFloat: unsafe try reduce(values, type, operation, &splits.floatSums)
    case .sumDouble: unsafe try reduce(values, type, operation, &splits.doubleSums)
    case .sumInt64: unsafe try reduce(values, type, operation, &splits.integerSums)
    default: unsafe try reduce(values, type, operation, &splits.maxima)
    }
  }

  private func reduce<Element>(
    _ values: UnsafeMutableBufferPointer<Element>, _ type: MPI_Datatype?, _ operation: MPI_Op?,
    _ splits: inout Int
  ) throws(MPIError) {
    if values.count > maximumCount { splits += 1 }
    var done = 0
    while done < values.count {
      let count = min(values.count - done, maximumCount)
      unsafe try check(
        "MPI_Allreduce",
        MPI_Allreduce(
          MPI_IN_PLACE, values.baseAddress?.advanced(by: done), CInt(count), type, operation,
          MPI_COMM_WORLD))
      done += count
    }
  }

  package func barrier() throws {
    try begin(.barrier, count: 0, detail: 0)
    defer { calls.end() }
    traffic.count(0, of: size)
    unsafe try check("MPI_Barrier", MPI_Barrier(MPI_COMM_WORLD))
  }

  package func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile {
    try CommunicatorFile(path, mode, of: self)
  }

  package func abort(_ reason: String, code: Int32) -> Never {
    endJob(failureLine(reason, rank: rank), code)
  }
}
