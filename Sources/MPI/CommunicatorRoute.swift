internal import CMPI
package import Fabric

/// The messages of the ranks of an MPI job: persistent receives, started again for each round, and
/// non-blocking sends of the length that is needed.
///
/// A message that may exceed the largest count is received in as many pieces as the longest has,
/// of which the last may be empty; all ranks know how many.
///
/// Safe to use: the requests are this object's own memory, freed with it.
@safe
final class CommunicatorRoute: MessageRoute {
  let limits: [Int]
  private let number: Int
  private let group: Communicator
  /// Keeps the memory of the messages.
  private let owners: [AnyObject]
  /// Receives, then sends.
  private let requests: UnsafeMutablePointer<MPI_Request?>
  private let receiveCount: Int
  private let requestCount: Int
  private var state = RoundState()

  fileprivate init(
    number: Int, limits: [Int], group: Communicator, target: UnsafeMutableRawBufferPointer,
    room: Partition, owners: [AnyObject]
  ) throws(MPIError) {
    self.number = number
    self.limits = limits
    self.group = group
    self.owners = owners
    receiveCount = room.counts.reduce(0) { $0 + group.pieces(of: $1) }
    if room.counts.contains(where: { group.pieces(of: $0) > 1 }) { group.splits.routes += 1 }
    requestCount = limits.reduce(receiveCount) { $0 + group.pieces(of: $1) }
    unsafe requests = .allocate(capacity: max(1, requestCount))
    unsafe requests.initialize(repeating: MPI_REQUEST_NULL, count: max(1, requestCount))
    var next = 0
    for peer in 0..<group.size {
      let range = room.range(of: peer)
      for piece in 0..<group.pieces(of: range.count) {
        let place = group.piece(piece, of: range)
        unsafe try check(
          "MPI_Recv_init",
          MPI_Recv_init(
            target.baseAddress?.advanced(by: place.lowerBound), CInt(place.count), MPI_BYTE,
            CInt(peer), CInt(number), MPI_COMM_WORLD, &requests[next]))
        next += 1
      }
    }
  }

  deinit { unsafe requests.deallocate() }

  func start(_ bytes: UnsafeRawBufferPointer, _ messages: [Range<Int>]) throws {
    let total = unsafe state.start(bytes, messages, limits)
    try group.begin(.startRound, count: 0, detail: Int64(number))
    defer { group.calls.end() }
    group.traffic.count(total, of: group.size)
    if receiveCount > 0 {
      unsafe try check("MPI_Startall", MPI_Startall(CInt(receiveCount), requests))
    }
    var next = receiveCount
    for (peer, message) in messages.enumerated() {
      for piece in 0..<group.pieces(of: limits[peer]) {
        let place = group.piece(piece, of: message)
        unsafe try check(
          "MPI_Isend",
          MPI_Isend(
            bytes.baseAddress?.advanced(by: place.lowerBound), CInt(place.count), MPI_BYTE,
            CInt(peer), CInt(number), MPI_COMM_WORLD, &requests[next]))
        next += 1
      }
    }
  }

  func finish() throws {
    state.finish()
    try group.begin(.finishRound, count: 0, detail: Int64(number))
    defer { group.calls.end() }
    try waitForAll()
  }

  private func waitForAll() throws(MPIError) {
    guard requestCount > 0 else { return }
    unsafe try check(
      "MPI_Waitall", MPI_Waitall(CInt(requestCount), requests, MPI_STATUSES_IGNORE))
  }

  /// Gives the receives back, after the second half of a round that has begun.
  func close() throws(MPIError) {
    if state.isRunning { try waitForAll() }
    for index in 0..<receiveCount {
      unsafe try check("MPI_Request_free", MPI_Request_free(&requests[index]))
    }
  }
}

extension Communicator {
  /// Makes a route; one `MPI_Alltoall` tells the limits.
  package func makeRoute(
    into target: UnsafeMutableRawBufferPointer, _ room: Partition, keeping owners: [AnyObject]
  ) throws -> any MessageRoute {
    unsafe requireRoute(target, room)
    try begin(.makeRoute, count: 0, detail: 0)
    defer { calls.end() }
    traffic.count(0, of: size)
    // Tags reach at least that far (MPI-3.1, section 8.1.2).
    precondition(routes.count < 32767, "a job has at most 32767 routes")
    let rooms = room.counts.map { Int64($0) }
    var limits = rooms
    unsafe try check(
      "MPI_Alltoall",
      MPI_Alltoall(rooms, 1, MPI_INT64_T, &limits, 1, MPI_INT64_T, MPI_COMM_WORLD))
    let route = unsafe try CommunicatorRoute(
      number: routes.count, limits: limits.map { Int($0) }, group: self, target: target,
      room: room, owners: owners)
    routes.append(route)
    return route
  }

  /// How many messages of the library one message of at most `limit` bytes takes.
  fileprivate func pieces(of limit: Int) -> Int { (limit + maximumCount - 1) / maximumCount }

  /// The place of piece number `index` of a message at `range`; empty behind its end.
  fileprivate func piece(_ index: Int, of range: Range<Int>) -> Range<Int> {
    let start = min(range.lowerBound + index * maximumCount, range.upperBound)
    return start..<min(start + maximumCount, range.upperBound)
  }
}
