internal import CMPI
package import Fabric

extension Communicator {
  /// Makes a communicator of the ranks that share memory with `rank`, ordered by rank.
  static func neighbours(
    of rank: Int, _ ranksPerMachine: Int?
  ) throws(MPIError) -> MPI_Comm? {
    var machine = unsafe MPI_COMM_NULL
    unsafe try check(
      "MPI_Comm_split_type",
      MPI_Comm_split_type(
        MPI_COMM_WORLD, CInt(MPI_COMM_TYPE_SHARED), CInt(rank), MPI_INFO_NULL, &machine))
    precondition(ranksPerMachine ?? 1 >= 1, "a machine has at least one rank")
    var index: CInt = 0
    unsafe try check("MPI_Comm_rank", MPI_Comm_rank(machine, &index))
    var run = unsafe MPI_COMM_NULL
    // Also without a limit: ranks of one machine may have been told different ones.
    let number = ranksPerMachine.map { index / CInt($0) } ?? 0
    unsafe try check("MPI_Comm_split", MPI_Comm_split(machine, number, index, &run))
    unsafe try check("MPI_Comm_free", MPI_Comm_free(&machine))
    return unsafe run
  }

  /// Learns which ranks are together: a machine is known by its first rank.
  static func machines(
    of rank: Int, _ size: Int, _ neighbours: MPI_Comm?
  ) throws(MPIError) -> MachineMap {
    var first = Int64(rank)
    unsafe try check("MPI_Bcast", MPI_Bcast(&first, 1, MPI_INT64_T, 0, neighbours))
    var keys = [Int64](repeating: 0, count: size)
    unsafe try check(
      "MPI_Allgather",
      MPI_Allgather(&first, 1, MPI_INT64_T, &keys, 1, MPI_INT64_T, MPI_COMM_WORLD))
    return MachineMap(keys: keys.map { Int($0) }, rank: rank)
  }

  /// The names of all ranks' machines, of which 64 bytes count.
  static func hosts(count: Int) throws(MPIError) -> [String] {
    let length = 64
    var own = [UInt8](hostName().utf8.prefix(length))
    own += [UInt8](repeating: 0, count: length - own.count)
    var all = [UInt8](repeating: 0, count: length * count)
    unsafe try check(
      "MPI_Allgather",
      MPI_Allgather(
        own, CInt(length), MPI_BYTE, &all, CInt(length), MPI_BYTE, MPI_COMM_WORLD))
    return (0..<count).map { rank in
      String(
        decoding: all[rank * length..<(rank + 1) * length].prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Makes memory that the ranks of each machine share: an MPI window, or ordinary memory for a
  /// rank that is alone on its machine.
  package func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory {
    precondition(byteCount >= 0, "the length of a part must not be negative")
    try begin(.shareMemory, count: 0, detail: Int64(layout.rawValue))
    defer { calls.end() }
    traffic.count(0, of: size)
    let storage =
      machines.neighbours.count == 1
      ? CommunicatorMemory.Storage.own(PageMemory(counts: [byteCount], layout))
      : .window(try SharedWindow(byteCount, layout, among: machines, of: self))
    let memory = CommunicatorMemory(storage, number: memoryCount, of: self)
    memoryCount += 1
    memories.append(memory)
    return memory
  }
}
