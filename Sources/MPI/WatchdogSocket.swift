internal import Fabric
internal import Foundation

/// A connection over which two watchdogs send each other messages of the same length.
///
/// Nothing here blocks: what cannot be sent at once is kept, and no more is taken on until it is
/// gone. A message that does not fit into what a stopped process left unread is dropped.
final class WatchdogLink {
  private let descriptor: CInt
  private var received: [UInt8] = []
  private var unsent: [UInt8] = []
  /// Whether the other side has closed, or the network has given up.
  private(set) var isClosed = false

  private static let messageBytes = RankReport.wordCount * MemoryLayout<Int64>.size

  /// Takes over a socket that does not block.
  init(_ descriptor: CInt) { self.descriptor = descriptor }

  deinit { Foundation.close(descriptor) }

  /// Begins to connect to an IPv4 address and port, both in the order of the network.
  convenience init?(address: UInt32, port: UInt16) {
    guard let descriptor = WatchdogSocket.make() else { return nil }
    self.init(descriptor)
    var target = WatchdogSocket.name(address, port)
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = unsafe withUnsafePointer(to: &target) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, size)
      }
    }
    guard code == 0 || errno == EINPROGRESS else { return nil }
  }

  func send(_ report: RankReport, token: Int64) {
    if unsent.isEmpty {
      unsafe report.words(token: token).withUnsafeBytes { unsent = unsafe Array($0) }
    }
    let count = unsafe unsent.withUnsafeBytes {
      unsafe Foundation.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
    }
    if count > 0 {
      unsent.removeFirst(count)
    } else if count < 0, ![EAGAIN, EWOULDBLOCK, EINTR, ENOTCONN].contains(errno) {
      isClosed = true
    }
  }

  /// The newest message that has come since the last call; `nil` for none, or when something else
  /// came, which closes the link.
  func newest(token: Int64) -> RankReport? {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while !isClosed {
      let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
      if count > 0 {
        received += buffer[..<count]
      } else if count == 0 {
        isClosed = true
      } else if errno != EINTR {
        isClosed = ![EAGAIN, EWOULDBLOCK, ENOTCONN].contains(errno)
        break
      }
    }
    let complete = received.count / Self.messageBytes * Self.messageBytes
    guard complete > 0 else { return nil }
    let message = received[complete - Self.messageBytes..<complete]
    let words = stride(from: message.startIndex, to: message.endIndex, by: 8).map { start in
      unsafe message[start..<start + 8].withUnsafeBytes { unsafe $0.loadUnaligned(as: Int64.self) }
    }
    received.removeFirst(complete)
    let report = RankReport(words: words, token: token)
    if report == nil { isClosed = true }
    return report
  }
}

/// Where the first rank's watchdog waits for the others.
final class WatchdogListener {
  private let descriptor: CInt
  /// In the order of the network.
  let port: UInt16

  /// Opens any free port; `nil` when the system refuses.
  init?() {
    guard let descriptor = WatchdogSocket.make() else { return nil }
    var name = WatchdogSocket.name(0, 0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &name) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, size) == 0 && listen(descriptor, 1024) == 0
          && getsockname(descriptor, $0, &size) == 0
      }
    }
    self.descriptor = descriptor
    port = name.sin_port
    guard isBound else { return nil }
  }

  deinit { Foundation.close(descriptor) }

  /// The next connection that waits, if there is one.
  func accept() -> WatchdogLink? {
    let descriptor = Foundation.accept(self.descriptor, nil, nil)
    guard descriptor >= 0 else { return nil }
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    return WatchdogLink(descriptor)
  }
}

/// What both sides need of the system.
enum WatchdogSocket {
  /// A socket of TCP that does not block, and is not passed on to other programs.
  static func make() -> CInt? {
    let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
    let descriptor = socket(AF_INET, CInt(kind), 0)
    return descriptor >= 0 ? descriptor : nil
  }

  static func name(_ address: UInt32, _ port: UInt16) -> sockaddr_in {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = address
    name.sin_port = port
    return name
  }

  /// 127.0.0.1 in the order of the network.
  static let loopback = UInt32(0x7F00_0001).bigEndian

  /// The IPv4 addresses by which others may reach this machine, in the order of the network.
  static func addresses() -> [UInt32] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard unsafe getifaddrs(&list) == 0 else { return [] }
    defer { unsafe freeifaddrs(list) }
    var addresses: [UInt32] = []
    var next = unsafe list
    while let entry = unsafe next {
      unsafe next = entry.pointee.ifa_next
      let flags = unsafe entry.pointee.ifa_flags
      guard let name = unsafe entry.pointee.ifa_addr,
        unsafe name.pointee.sa_family == sa_family_t(AF_INET),
        flags & UInt32(IFF_UP) != 0, flags & UInt32(IFF_LOOPBACK) == 0
      else { continue }
      unsafe addresses.append(
        UnsafeRawPointer(name).loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr)
    }
    return addresses
  }
}
