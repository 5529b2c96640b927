/// The ranks of one job, seen from one of them: the only thing the rest of the program knows of
/// processes, threads or MPI.
///
/// Conformers: ``SoloGroup`` (one rank, no library), ``LocalGroup`` (ranks as threads of one
/// process, for tests) and `Communicator` of the module `MPI`. All pass one behaviour suite.
///
/// Every method is a *collective*: all ranks call it, in the same order, with
/// matching sizes, even a rank that has nothing to send. Counts and offsets are bytes in `Int`;
/// a conformer whose library counts in 32 bits splits the transfer. Blocking: when a call
/// returns, its buffers are free.
///
/// Errors: ranks that make different calls, or calls of different sizes, meet ``CallMismatch``
/// where the conformer can tell; a failed file operation is a ``SharedFileError``; what the
/// library refuses is an error of its own. An error of one rank ends the work of all.
package protocol ProcessGroup: AnyObject {
  /// This rank, in `0 ..< size`.
  var rank: Int { get }
  /// The number of ranks, at least 1.
  var size: Int { get }
  /// What this rank has called and sent so far.
  var traffic: Traffic { get }
  /// Which ranks run on the same machine; it does not change.
  var machines: MachineMap { get }
  /// The name of each rank's machine, by rank; it does not change.
  var hosts: [String] { get }
  /// Where this rank tells what it is busy with.
  var position: RankPosition { get }

  /// A digest of all calls of this rank: the same on all ranks as long as all make the same calls.
  ///
  /// For those who send small numbers to all ranks anyway. 0 where a group notices by itself that
  /// ranks make different calls.
  var callTag: Int64 { get }
  /// Finds out which calls differ; all ranks call it together, having seen that their tags differ.
  ///
  /// - Throws: ``CallMismatch`` on all ranks.
  func explainDivergence() throws -> Never

  /// Sends a part of `send` to every rank and receives a part from each (all-to-all).
  ///
  /// Part `r` of `sendParts` goes to rank `r`, part `r` of `receiveParts` comes from rank `r` and
  /// must be as long as what rank `r` sends here. The buffers hold at least the totals of their
  /// parts and do not overlap.
  func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition) throws

  /// Gives every rank the contributions of all, in rank order (all-gather).
  ///
  /// `send` is this rank's contribution, as long as part `rank` of `parts`; part `r` of `receive`
  /// comes from rank `r`. All ranks pass the same `parts`. The buffers do not overlap.
  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer,
    _ parts: Partition) throws

  /// Overwrites `bytes` on every rank with those of rank `root`.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws

  /// Adds `values` over all ranks, in place, in whatever order the library likes.
  ///
  /// For sums whose last digits must not depend on the number of ranks see
  /// ``orderedSum(of:width:over:)``.
  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws
  /// Adds `values` over all ranks, in place, in whatever order the library likes.
  func sum(_ values: UnsafeMutableBufferPointer<Double>) throws
  /// Adds `values` over all ranks, in place; the sums must fit.
  func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws

  /// The largest of each of `values` over all ranks, in place.
  func maximum(_ values: UnsafeMutableBufferPointer<Int64>) throws

  /// Returns when every rank has arrived.
  func barrier() throws

  /// Makes memory that the ranks of each machine share.
  ///
  /// - Parameters:
  ///   - byteCount: The length of this rank's part; ranks may differ, and 0 is fine.
  ///   - layout: How the parts of a machine's ranks lie; the same on all ranks.
  /// - Returns: The memory, zeroed. It lives until it is closed or the group ends.
  /// - Throws: `SharedMemoryError` when a machine has not got as much.
  func shareMemory(
    byteCount: Int, _ layout: SharedMemoryLayout
  ) throws -> any SharedMemory

  /// Makes a route of messages that this rank gets from some ranks and sends to some.
  ///
  /// Every rank that has room for messages of another one gets one in each round.
  ///
  /// - Parameters:
  ///   - target: Where messages land.
  ///   - room: Part `r` of `target` is the place for a message of rank `r`, as long as the longest;
  ///     empty when rank `r` sends none, as this rank itself.
  ///   - owners: Keep `target`, and what messages are sent from, as long as the route.
  /// - Returns: The route, which lives until the group ends.
  /// - Throws: What the library throws.
  func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute

  /// Opens one file on all ranks, which name the same path and mode.
  func open(_ path: String, _ mode: SharedFileMode) throws -> any SharedFile

  /// Ends the job on all ranks. Not a collective: one rank is enough.
  ///
  /// - Parameters:
  ///   - reason: One line for the standard error stream.
  ///   - code: The exit code of the job, not 0.
  func abort(_ reason: String, code: Int32) -> Never
}

extension ProcessGroup {
  /// All ranks are here, unless a conformer knows better.
  package var hosts: [String] { [String](repeating: hostName(), count: size) }
  package var position: RankPosition { .unwatched }
  package var callTag: Int64 { 0 }
  package func explainDivergence() throws -> Never {
    throw CallMismatch(rank, "some calls", (rank + 1) % size, "others")
  }
}

/// How a shared file is opened.
package enum SharedFileMode: Sendable {
  /// An existing file, for reading.
  case read
  /// A new file for writing; one that exists is replaced. It is extended to `size` bytes.
  case create(size: Int)
}

/// A file that all ranks of a group have open.
///
/// Offsets are bytes from the start of the file. What one rank wrote can be read by another after
/// ``close()`` and a new ``ProcessGroup/open(_:_:)``. What goes wrong with the file is a
/// ``SharedFileError``.
package protocol SharedFile: AnyObject {
  /// Writes all of `bytes` at `offset`. A collective; a rank with nothing to write passes no
  /// bytes. Ranks must not write to the same place.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws
  /// Fills `bytes` from `offset`; a file that ends early is an error. A collective.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws
  /// Closes the file, after waiting until what was written is on the disk. A collective.
  func close() throws
}

/// Counters of one rank's communication, for budgets that tests can hold.
///
/// Files are not counted. Making and closing shared memory is one collective each, and so is a
/// fence, making a route, and a round of its messages; what is read and written in shared memory is
/// not sent.
package struct Traffic: Equatable, Sendable {
  /// Collectives called.
  package var collectives = 0
  /// Bytes handed over for other ranks: of an exchange all parts but the own, of a gather, a sum
  /// or a maximum the own contribution once, of a broadcast the root's bytes once, of a round of
  /// messages each message. A group of one
  /// rank hands over nothing.
  package var bytesSent = 0

  package init() {}

  /// Counts one collective that hands `bytes` over for other ranks of a group of `size`.
  package mutating func count(_ bytes: Int, of size: Int) {
    collectives += 1
    if size > 1 { bytesSent += bytes }
  }
}
