import Foundation

extension ProcessState {
  /// A channel whose ends no other program inherits, not even one that another test starts at this
  /// very moment: of what Swift sees, only a pair of sockets is made so in one step.
  static func makeChannel() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Self.error(errno) }
    return (ends[0], ends[1])
  }

  /// Starts a program in a process group of its own, with default signal handling, an empty
  /// standard input and the given descriptors as outputs.
  static func spawn(
    _ executable: String, _ arguments: [String], _ environment: [String: String?],
    _ outputs: [Int32]
  ) throws -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, outputs[0], STDOUT_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, outputs[1], STDERR_FILENO)

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var (all, none) = (sigset_t(), sigset_t())
    unsafe sigfillset(&all)
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

    var variables: [String: String] = ProcessInfo.processInfo.environment
    for (name, value) in environment { variables[name] = value }
    var words = unsafe ([executable] + arguments).map { unsafe strdup($0) }
    var settings = unsafe variables.map { unsafe strdup("\($0.key)=\($0.value)") }
    unsafe words.append(nil)
    unsafe settings.append(nil)
    defer { unsafe (words + settings).forEach { unsafe free($0) } }

    var pid: Int32 = 0
    let code = unsafe posix_spawnp(&pid, executable, &actions, &attributes, &words, &settings)
    guard code == 0 else { throw Self.error(code) }
    return pid
  }

  private static func error(_ code: Int32) -> POSIXError {
    POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO)
  }
}
