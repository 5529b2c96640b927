internal import CMPI
internal import CSharedMemory
internal import Fabric
internal import Foundation

/// An MPI window of shared memory, and a barrier of round counters at its start.
///
/// The first neighbour owns all of the window and the others ask for its address, because the
/// library may start the memory anywhere (Open MPI 4.1: behind its own bookkeeping, at no round
/// address), and pages and gaps are ours to choose:
///
///     … │ round counters, one per neighbour │ parts, from the start of a page
///
/// The memory is in the unified model of MPI, and processes see each other's stores as threads do
/// (MPI-3.1, section 11.4). So the counters are C11 atomics: a rank stores its round with release
/// when it arrives, and loads the others' with acquire until they have come, which orders all
/// memory, not only that of the window. The window stays in one access epoch all its life, as the
/// standard asks for loads and stores. `MPI_Win_sync` would add a memory barrier; the counters
/// are one. See docs/decisions/0010-shared-memory.md.
///
/// Safe to use: the addresses are valid until ``free()``, after which none is handed out.
@safe
final class SharedWindow {
  private var window: MPI_Win?
  private let rounds: UnsafeMutableRawPointer
  private let start: UnsafeMutableRawPointer
  private let ranges: [Range<Int>]
  private let index: Int
  /// How often to look at a neighbour's counter before the processor is offered to others.
  private let attempts: Int
  private var round: UInt64 = 0

  /// Makes the window; this rank's part and the counters are zero before any rank returns.
  init(
    _ byteCount: Int, _ layout: SharedMemoryLayout, among machines: MachineMap,
    of group: Communicator
  ) throws {
    let count = machines.neighbours.count
    let neighbours = unsafe group.neighbours
    index = machines.index
    // Waiting while holding a processor that the late rank needs only makes it later.
    attempts = count <= sysconf(CInt(_SC_NPROCESSORS_ONLN)) ? 1000 : 1
    let page = SharedMemoryLayout.pageSize
    var counts = [Int64](repeating: 0, count: count)
    var own = Int64(byteCount)
    unsafe try check(
      "MPI_Allgather",
      MPI_Allgather(&own, 1, MPI_INT64_T, &counts, 1, MPI_INT64_T, neighbours))
    ranges = layout.ranges(of: counts.map { Int($0) })
    let header = (count * INVERSE_ROUND_STRIDE + page - 1) / page * page
    let total = ranges[count - 1].upperBound
    let base = unsafe try Self.allocate(
      page + header + total, of: neighbours, isOwner: index == 0, rank: group.rank, &window)
    // The same distance on all ranks, whose maps start on pages.
    var shift = (page - Int(bitPattern: base) % page) % page
    unsafe try check("MPI_Bcast", MPI_Bcast(&shift, 1, MPI_INT64_T, 0, neighbours))
    unsafe rounds = unsafe base + shift
    unsafe start = unsafe rounds + header
    // Each rank touches its own part first, which puts it next to its processor.
    let part = unsafe part(index)
    guard let address = part.baseAddress, unsafe inverse_populate(address, part.count) else {
      throw SharedMemoryError(
        byteCount: total, rank: group.rank, reason: "there are no pages left for it")
    }
    unsafe memset(address, 0, part.count)
    if index == 0 { unsafe memset(rounds, 0, header) }
    unsafe try check("MPI_Barrier", MPI_Barrier(neighbours))
  }

  /// Allocates `byteCount` bytes on the owner and returns where they are.
  private static func allocate(
    _ byteCount: Int, of neighbours: MPI_Comm?, isOwner: Bool, rank: Int, _ window: inout MPI_Win?
  ) throws -> UnsafeMutableRawPointer {
    var base: UnsafeMutableRawPointer?
    let code = unsafe MPI_Win_allocate_shared(
      isOwner ? byteCount : 0, 1, MPI_INFO_NULL, neighbours, &base, &window)
    guard code == MPI_SUCCESS else {
      throw SharedMemoryError(
        byteCount: byteCount, rank: rank,
        reason: "\(MPIError(code, in: "MPI_Win_allocate_shared"))")
    }
    unsafe try check(
      "MPI_Win_set_errhandler", MPI_Win_set_errhandler(window, MPI_ERRORS_RETURN))
    var (length, unit): (MPI_Aint, CInt) = (0, 0)
    unsafe try check(
      "MPI_Win_shared_query", MPI_Win_shared_query(window, 0, &length, &unit, &base))
    unsafe try check("MPI_Win_lock_all", MPI_Win_lock_all(CInt(MPI_MODE_NOCHECK), window))
    guard let base = unsafe base, length >= byteCount else {
      throw SharedMemoryError(
        byteCount: byteCount, rank: rank, reason: "MPI_Win_shared_query: the window is too short")
    }
    return unsafe base
  }

  func part(_ index: Int) -> UnsafeMutableRawBufferPointer {
    let range = ranges[index]
    return unsafe UnsafeMutableRawBufferPointer(
      start: start + range.lowerBound, count: range.count)
  }

  var whole: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: start, count: ranges.last?.upperBound ?? 0)
  }

  func arrive() {
    round += 1
    unsafe inverse_round_reach(rounds, index, round)
  }

  /// Looks at the counters until all neighbours have arrived.
  ///
  /// A late neighbour may itself wait for a rank elsewhere, for bytes that MPI holds back here
  /// because it gets to work only inside its own calls. So waiting keeps calling it.
  func wait() throws(MPIError) {
    while unsafe !inverse_round_reached(rounds, ranges.count, round, attempts) {
      var isThere: CInt = 0
      unsafe try check(
        "MPI_Iprobe",
        MPI_Iprobe(
          CInt(MPI_ANY_SOURCE), CInt(MPI_ANY_TAG), MPI_COMM_WORLD, &isThere, MPI_STATUS_IGNORE))
      sched_yield()
    }
  }

  /// Gives the memory back; a collective of the neighbours.
  func free() throws(MPIError) {
    unsafe try check("MPI_Win_unlock_all", MPI_Win_unlock_all(window))
    unsafe try check("MPI_Win_free", MPI_Win_free(&window))
  }
}
