internal import CMPI
package import Fabric

// An exchange is one `MPI_Alltoallw`, whatever the sizes, so no rank needs to know whether another
// one's transfer must be split. A part whose length and offset fit 32 bits is described by them.
// Any other part is described by a datatype made for it: blocks of at most `maximumCount` bytes at
// 64-bit addresses. Sender and receiver may choose differently, because MPI compares only the
// sequences of basic types, which here are bytes on both sides, and as many.
extension Communicator {
  package func exchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) throws {
    unsafe requireExchange(send, sendParts, receive, receiveParts)
    try begin(.exchange, count: 0, detail: 0)
    defer { calls.end() }
    try verifyExchange(sendParts, receiveParts)
    traffic.count(sendParts.total - sendParts.counts[rank], of: size)
    unsafe UnsafeMutableRawBufferPointer(rebasing: receive[receiveParts.range(of: rank)])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: send[sendParts.range(of: rank)]))
    guard size > 1 else { return }
    defer {
      self.send.freeTypes()
      self.receive.freeTypes()
    }
    try self.send.describe(sendParts, except: rank, maximumCount)
    try self.receive.describe(receiveParts, except: rank, maximumCount)
    if self.send.hasOwnTypes { splits.sends += 1 }
    if self.receive.hasOwnTypes { splits.receives += 1 }
    unsafe try check(
      "MPI_Alltoallw",
      MPI_Alltoallw(
        send.baseAddress, self.send.counts, self.send.offsets, self.send.types,
        receive.baseAddress, self.receive.counts, self.receive.offsets, self.receive.types,
        MPI_COMM_WORLD))
  }
}

/// The arrays that MPI wants for one side of an exchange, kept from call to call.
///
/// Safe to use: three arrays of one element per rank, freed with this object.
@safe
final class ExchangeArguments {
  let counts: UnsafeMutablePointer<CInt>
  let offsets: UnsafeMutablePointer<CInt>
  let types: UnsafeMutablePointer<MPI_Datatype?>
  private let size: Int
  /// Whether some of `types` were made for the current call.
  private(set) var hasOwnTypes = false

  init(size: Int) {
    self.size = size
    unsafe counts = .allocate(capacity: size)
    unsafe offsets = .allocate(capacity: size)
    unsafe types = .allocate(capacity: size)
    unsafe counts.initialize(repeating: 0, count: size)
    unsafe offsets.initialize(repeating: 0, count: size)
    unsafe types.initialize(repeating: MPI_BYTE, count: size)
  }

  deinit {
    unsafe counts.deallocate()
    unsafe offsets.deallocate()
    unsafe types.deallocate()
  }

  /// Describes `parts`; nothing is moved between `rank` and itself.
  ///
  /// - Throws: `MPIError`; the types made so far still need to be freed.
  func describe(
    _ parts: Partition, except rank: Int, _ maximumCount: Int
  ) throws(MPIError) {
    for peer in 0..<size {
      let (count, offset) = (peer == rank ? 0 : parts.counts[peer], parts.offsets[peer])
      if count == 0 {
        unsafe counts[peer] = 0
        unsafe offsets[peer] = 0
      } else if count <= maximumCount, offset <= maximumCount {
        unsafe counts[peer] = CInt(count)
        unsafe offsets[peer] = CInt(offset)
      } else {
        hasOwnTypes = true
        unsafe counts[peer] = 1
        unsafe offsets[peer] = 0
        unsafe try makeType(&types[peer], count, offset, maximumCount)
      }
    }
  }

  /// Frees the types made by ``describe(_:except:_:)``.
  func freeTypes() {
    guard hasOwnTypes else { return }
    hasOwnTypes = false
    for peer in 0..<size where unsafe types[peer] != MPI_BYTE {
      // Freeing fails only for a handle that is no datatype; these are.
      unsafe MPI_Type_free(&types[peer])
      unsafe types[peer] = unsafe MPI_BYTE
    }
  }

  /// Makes a type of `count` bytes at `offset` from the start of the buffer.
  private func makeType(
    _ type: inout MPI_Datatype?, _ count: Int, _ offset: Int, _ maximumCount: Int
  ) throws(MPIError) {
    let starts = Array(stride(from: 0, to: count, by: maximumCount))
    let lengths = starts.map { CInt(min(count - $0, maximumCount)) }
    let addresses = starts.map { MPI_Aint(offset + $0) }
    unsafe try check(
      "MPI_Type_create_hindexed",
      MPI_Type_create_hindexed(CInt(starts.count), lengths, addresses, MPI_BYTE, &type))
    unsafe try check("MPI_Type_commit", MPI_Type_commit(&type))
  }
}
