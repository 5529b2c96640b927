import Foundation
package import Storage

/// What a finished program cost.
package struct ProcessCost: Equatable, Sendable {
  package let wallSeconds: Double
  /// User and system time of the program and the children it waited for.
  package let processorSeconds: Double
  /// The largest resident set of the program or of one of its children.
  package let peakBytes: Int
  /// What it wrote to its standard output.
  package let output: String
}

/// Programs run to their end, with the operating system's account of what they used.
package enum ChildProcess {
  /// Runs a program.
  ///
  /// - Parameters:
  ///   - command: The program, looked up on the `PATH`, and its arguments.
  ///   - environment: Variables beside, or in place of, those of this process.
  /// - Returns: Its cost and output. The peak is meaningless if this process has itself been
  ///   larger: Linux lets a program inherit the peak of whoever started it.
  /// - Throws: `Failure`: `inputOutput` when it cannot be started; software, with the line
  ///   that says why, when it ends with an error.
  package static func run(
    _ command: [String], environment: [String: String] = [:]
  ) throws(Failure) -> ProcessCost {
    precondition(!command.isEmpty, "a command has at least a program")
    let scratch = "\(NSTemporaryDirectory())/bench-\(UUID().uuidString)"
    try Files.createDirectory(scratch)
    defer { try? Files.remove(scratch) }
    let (output, errors) = ("\(scratch)/output", "\(scratch)/errors")
    let start = ContinuousClock.now
    let child = try spawn(command, environment, output: output, errors: errors)
    let (status, usage) = try wait(for: child, command)
    let elapsed = ContinuousClock.now - start
    guard status == 0 else {
      let text = String(decoding: try Files.read(errors), as: UTF8.self)
      let reason = reason(in: text).map { ": \($0)" } ?? ""
      throw .software("\(command.joined(separator: " ")) ended with status \(status)\(reason)")
    }
    return ProcessCost(
      wallSeconds: elapsed / .seconds(1),
      processorSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      // Linux counts in KiB.
      peakBytes: Int(usage.ru_maxrss) << 10,
      output: String(decoding: try Files.read(output), as: UTF8.self))
  }

  /// The first line a program writes, or `nil` when it fails or is not there.
  package static func firstLine(_ command: [String]) -> String? {
    guard let cost = try? run(command) else { return nil }
    return cost.output.split(separator: "\n").first.map(String.init)
  }

  /// The first line that calls itself an error, or the last one with words: launchers add frames and
  /// advice to what a program has to say.
  private static func reason(in text: String) -> Substring? {
    let lines = text.split(separator: "\n").filter { $0.contains(where: \.isLetter) }
    return lines.first { $0.contains("error:") } ?? lines.last
  }

  private static func spawn(
    _ command: [String], _ environment: [String: String], output: String, errors: String
  ) throws(Failure) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, flags, 0o600)
    unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, flags, 0o600)
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var child: pid_t = 0
    let code = unsafe withStrings(command) { arguments in
      unsafe withStrings(variables.map { "\($0)=\($1)" }) { variables in
        unsafe posix_spawnp(&child, command[0], &actions, nil, arguments, variables)
      }
    }
    guard code == 0 else { throw .inputOutput("start", command[0], errno: code) }
    return child
  }

  private static func wait(
    for child: pid_t, _ command: [String]
  ) throws(Failure) -> (status: Int32, usage: rusage) {
    var status: Int32 = 0
    var usage = rusage()
    while unsafe wait4(child, &status, 0, &usage) < 0 {
      guard errno == EINTR else { throw .inputOutput("wait for", command[0], errno: errno) }
    }
    // As a shell tells it: the exit code, or 128 and the signal.
    let signal = status & 0x7f
    return (signal == 0 ? status >> 8 & 0xff : 128 + signal, usage)
  }

  /// Calls `body` with a null-terminated array of C strings.
  private static func withStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    var pointers = unsafe strings.map { unsafe strdup($0) }
    unsafe pointers.append(nil)
    defer { unsafe pointers.forEach { unsafe free($0) } }
    return unsafe pointers.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { preconditionFailure("the array holds a null") }
      return unsafe body(base)
    }
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) * 1e-6
  }
}
