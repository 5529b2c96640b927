internal import CMPI
internal import Fabric

extension Communicator {
  /// The addresses of the first rank that the others learn.
  private static let mostAddresses = 8

  /// Whether the watchdogs of this rank and the first, of the first and all others, have heard of each
  /// other.
  package var isWatched: Bool { watchdog?.hasMet ?? false }

  /// Starts this rank's watchdog; a collective. There is none for a rank alone, and when the first
  /// rank can open no port, which it says.
  ///
  /// - Throws: `MPIError`.
  func startWatchdog(_ watch: StallWatch) throws(MPIError) {
    guard size > 1 else { return }
    let listener = rank == 0 ? WatchdogListener() : nil
    var words: [Int64] = [
      .random(in: .min ... .max), Int64(listener?.port ?? 0),
    ]
    let found = rank == 0 ? WatchdogSocket.addresses().prefix(Self.mostAddresses) : []
    words += found.map { Int64($0) }
    words += [Int64](repeating: 0, count: 2 + Self.mostAddresses - words.count)
    unsafe try check(
      "MPI_Bcast", MPI_Bcast(&words, CInt(words.count), MPI_INT64_T, 0, MPI_COMM_WORLD))
    let invitation = Watchdog.Invitation(
      token: words[0], port: UInt16(truncatingIfNeeded: words[1]),
      addresses: words[2...].filter { $0 != 0 }.map { UInt32(truncatingIfNeeded: $0) },
      hosts: hosts)
    let watchdog = Watchdog(
      rank: rank, watch, invitation, position: position, calls: calls)
    guard invitation.port != 0 else {
      if rank == 0 { watchdog.warn("no port can be opened for the watchdog") }
      return
    }
    self.watchdog = watchdog
    if let listener {
      watchdog.start(WatchdogCentre(listener, hosts: invitation.hosts))
    } else {
      // Ranks that only pretend to be elsewhere have the same name, too.
      let isNear = invitation.hosts[0] == invitation.hosts[rank]
      let near = isNear ? [WatchdogSocket.loopback] : []
      watchdog.start(
        WatchdogRay(addresses: near + invitation.addresses, host: invitation.hosts[0]))
    }
  }
}
