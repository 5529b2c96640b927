import Foundation

/// The processes of this machine, as `/proc` shows them.
package enum ProcessTree {
  /// The processes whose parent is `pid`, in ascending order.
  package static func childProcesses(of pid: Int32) -> [Int32] {
    all.filter { parent(of: $0) == pid }
  }

  /// The processes that `pid` started, and those that they started.
  package static func descendants(of pid: Int32) -> [Int32] {
    childProcesses(of: pid).flatMap { [$0] + descendants(of: $0) }
  }

  /// The processes that were started with `argument` as one of their arguments.
  package static func processes(withArgument argument: String) -> [Int32] {
    all.filter { pid in
      guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else {
        return false
      }
      return line.split(separator: 0).contains { $0.elementsEqual(argument.utf8) }
    }
  }

  private static var all: [Int32] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { Int32($0) }.sorted()
  }

  private static func parent(of pid: Int32) -> Int32? {
    // "pid (name) state parent …"; the name may contain spaces and parentheses.
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
    let text = String(decoding: data, as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
  }
}
