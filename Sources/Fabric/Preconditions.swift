// What a caller must respect on its own rank, whatever the others do. The conformers call these
// first, so a wrong call stops in all of them alike.
extension ProcessGroup {
  /// Stops the program unless the buffers hold their parts and there is a part for each rank.
  package func requireExchange(
    _ send: UnsafeRawBufferPointer, _ sendParts: Partition,
    _ receive: UnsafeMutableRawBufferPointer, _ receiveParts: Partition
  ) {
    precondition(sendParts.counts.count == size, "an exchange sends one part to each rank")
    precondition(receiveParts.counts.count == size, "an exchange receives one part from each rank")
    precondition(send.count >= sendParts.total, "the sent buffer must hold its parts")
    precondition(receive.count >= receiveParts.total, "the received buffer must hold its parts")
  }

  /// Stops the program unless the contribution is as long as announced and the result fits.
  package func requireGather(
    _ send: UnsafeRawBufferPointer, _ receive: UnsafeMutableRawBufferPointer, _ parts: Partition
  ) {
    precondition(parts.counts.count == size, "a gather has one part for each rank")
    precondition(
      send.count == parts.counts[rank], "a contribution must be as long as the part of its rank")
    precondition(receive.count >= parts.total, "the gathered buffer must hold all parts")
  }

  /// Stops the program unless there is room for each rank's messages but the own.
  package func requireRoute(_ target: UnsafeMutableRawBufferPointer, _ room: Partition) {
    precondition(room.counts.count == size, "a route has one part for each rank")
    precondition(room.counts[rank] == 0, "a rank sends itself no messages")
    precondition(target.count >= room.total, "the buffer must hold the messages of all ranks")
  }

  /// Stops the program unless `root` is a rank.
  package func requireRoot(_ root: Int) {
    precondition((0..<size).contains(root), "the root of a broadcast must be a rank")
  }
}
