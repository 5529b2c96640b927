import Foundation

/// Runs a program and, when it has ended, prints `peak <bytes>`: the most memory it had at once.
///
/// The system counts from the moment the new process is made, as a copy of the one that makes it:
/// so this must be done by a small program and not by the tests, which have grown large.
///
/// - Returns: The program's exit code, 70 when there is none.
func reportPeakMemory(of program: String, _ arguments: [String]) -> Int32 {
  var words = unsafe ([program] + arguments).map { unsafe strdup($0) }
  unsafe words.append(nil)
  defer { unsafe words.forEach { unsafe free($0) } }
  var pid: pid_t = 0
  guard unsafe posix_spawn(&pid, program, nil, nil, words, environ) == 0 else { return 70 }
  var (status, usage) = (Int32(0), rusage())
  while unsafe wait4(pid, &status, 0, &usage) < 0 {
    guard errno == EINTR else { return 70 }
  }
  print("peak \(usage.ru_maxrss * 1024)")
  return status & 0x7F == 0 ? status >> 8 & 0xFF : 70
}
