import Foundation

/// What three threads learn about a running program: two read its outputs, one waits for its end.
///
/// Safe to share: everything that changes is read and written under one lock.
final class ProcessState: @unchecked Sendable {
  /// One of the two outputs of a program.
  enum Stream: Int, CaseIterable {
    case output, error
  }

  /// What is known at one moment.
  struct Snapshot {
    /// The exit code, or the negative number of the signal that ended the program.
    var status: Int32?
    var contents = [Data(), Data()]
    var openStreams = Stream.allCases.count

    /// Whether the program is gone, and nothing it started can write any more.
    var hasEnded: Bool { status != nil && openStreams == 0 }

    func text(_ stream: Stream) -> String {
      String(decoding: contents[stream.rawValue], as: UTF8.self)
    }
  }

  let pid: Int32
  private let condition = NSCondition()
  private var now = Snapshot()

  init(
    _ executable: String, _ arguments: [String], _ environment: [String: String?]
  ) throws {
    let channels = try Stream.allCases.map { _ in try Self.makeChannel() }
    defer { for channel in channels { close(channel.write) } }
    do {
      pid = try Self.spawn(executable, arguments, environment, channels.map(\.write))
    } catch {
      for channel in channels { close(channel.read) }
      throw error
    }
    for (stream, channel) in zip(Stream.allCases, channels) {
      Thread { self.drain(channel.read, stream) }.start()
    }
    Thread { self.awaitExit() }.start()
  }

  var status: Int32? { condition.withLock { now.status } }

  func text(_ stream: Stream) -> String { condition.withLock { now.text(stream) } }

  /// Waits until `isEnough` or nothing can change any more.
  ///
  /// - Returns: The last answer of `isEnough`.
  func wait(until end: Date, for isEnough: (Snapshot) -> Bool) -> Bool {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if isEnough(now) { return true }
      if now.hasEnded || !condition.wait(until: end) { return isEnough(now) }
    }
  }

  func send(_ signal: Int32) {
    condition.withLock {
      // A program that has ended is no more: its number may be another's.
      if now.status == nil { kill(pid, signal) }
    }
  }

  /// Kills the program and everything it started, as far as it can still be found.
  func killAll() {
    condition.lock()
    defer { condition.unlock() }
    guard !now.hasEnded else { return }
    let descendants = now.status == nil ? ProcessTree.descendants(of: pid) : []
    kill(-pid, SIGKILL)
    for process in descendants { kill(process, SIGKILL) }
  }

  private func change(_ body: (inout Snapshot) -> Void) {
    condition.withLock {
      body(&now)
      condition.broadcast()
    }
  }

  private func drain(_ descriptor: Int32, _ stream: Stream) {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      change { $0.contents[stream.rawValue].append(contentsOf: buffer[..<count]) }
    }
    close(descriptor)
    change { $0.openStreams -= 1 }
  }

  private func awaitExit() {
    // First without reaping, so that the number stays this program's while a signal may be sent.
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    change { now in
      var word: Int32 = 0
      while unsafe waitpid(pid, &word, 0) < 0, errno == EINTR {}
      let signal = word & 0x7F
      now.status = signal == 0 ? (word >> 8) & 0xFF : -signal
    }
  }
}
