import ArgumentParser
import Foundation
import Storage
import Yams

/// Options from a YAML file: each key is the long name of an option of the command.
///
///     method: ig
///     factors: 64
///     biases: true
///
/// Options of the command line win. Which options a command has is asked of the command itself, so
/// the two cannot drift apart.
struct ConfigurationFile {
  /// Limits for files that nobody vouches for: bytes of a file and of a value, and places that
  /// repeat another part of the file, whose number multiplies where they are nested.
  private static let longest = 1 << 20
  private static let longestValue = 4096
  private static let mostAliases = 16

  private let path: String
  /// Options as on a command line, those without effect left out, and where each stands.
  private var arguments: [String] = []
  private var lines: [String: Int] = [:]

  /// Reads the file that `--config` names.
  ///
  /// - Parameter arguments: Without the name of the program.
  /// - Returns: `nil` when there is no `--config`.
  /// - Throws: `Failure`: usage for keys the command does not know, naming the nearest it does,
  ///   and for values of the wrong form; `inputOutput` when the file cannot be read.
  static func read(for arguments: [String]) throws(Failure) -> ConfigurationFile? {
    // Asking a command for its options takes longer than parsing them.
    guard arguments.contains(where: { $0.hasPrefix("--config") }),
      let command = arguments.first, let options = try options(of: command),
      let path = try path(in: arguments)
    else { return nil }
    var file = ConfigurationFile(path: path)
    let given = Set(arguments.compactMap(longName))
    for entry in try entries(path) {
      guard let isFlag = options[entry.key], entry.key != "config" else {
        let nearest = nearestName(to: entry.key, among: options.keys.filter { $0 != "config" })
        throw .usage(
          "\(path):\(entry.line): unknown key '\(excerpt(entry.key))'"
            + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
      }
      let place = "\(path):\(entry.line)"
      let words = try option(entry.key, entry.value, isFlag: isFlag, place)
      if given.contains(entry.key) { continue }
      file.arguments += words
      file.lines[entry.key] = entry.line
    }
    return file
  }

  private init(path: String) { self.path = path }

  /// `arguments` with those of the file put behind the name of the command.
  func expanded(_ arguments: [String]) -> [String] {
    arguments.prefix(1) + self.arguments + arguments.dropFirst()
  }

  /// File and line of the option that a message of the argument parser is about, if it is one of
  /// the file.
  func place(blamedIn message: String) -> String? {
    // The parser quotes an option as '--rate', or with its value as '--rate <x>'.
    let line = lines.first { key, _ in
      message.contains("'--\(key)'") || message.contains("'--\(key) ")
    }
    return line.map { "\(path):\($0.value)" }
  }

  private static func option(
    _ key: String, _ value: Node, isFlag: Bool, _ place: String
  ) throws(Failure) -> [String] {
    if isFlag {
      guard let isOn = value.bool else {
        throw .usage("\(place): '\(key)' is a switch and must be true or false")
      }
      return isOn ? ["--\(key)"] : []
    }
    let words: [String]
    if let scalar = value.scalar {
      words = [scalar.string]
    } else if let items = value.sequence.map({ Array($0) }), items.allSatisfy({ $0.scalar != nil })
    {
      words = items.compactMap(\.scalar?.string)
    } else {
      throw .usage("\(place): '\(key)' must be one value")
    }
    let text = words.joined(separator: ",")
    // The argument parser would take the next word for the value.
    guard !text.isEmpty else { throw .usage("\(place): '\(key)' has no value") }
    guard text.utf8.count <= Self.longestValue, !text.utf8.contains(where: { $0 < 0x20 }) else {
      throw .usage("\(place): '\(key)' must be one line of at most \(longestValue) bytes")
    }
    return ["--\(key)=\(text)"]
  }

  /// A key with its value and its line, from 1.
  typealias Entry = (key: String, value: Node, line: Int)

  /// The keys and values of the file, in its order.
  static func entries(_ path: String) throws(Failure) -> [Entry] {
    guard (Files.size(of: path) ?? 0) <= longest else {
      throw .usage("\(path) has more than the \(longest) bytes that are ever read of options")
    }
    let bytes = try Files.read(path, atMost: longest)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .usage("\(path) is not UTF-8 text")
    }
    // The parser writes out what they repeat: a few lines of nested ones would never end.
    guard aliases(in: bytes) <= mostAliases else {
      throw .usage("\(path): more than \(mostAliases) aliases; write their values out")
    }
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw syntaxError(error, path)
    }
    guard let root else { return [] }
    guard let mapping = root.mapping else {
      throw .usage("\(path): expected lines of the form 'option: value'")
    }
    var entries: [Entry] = []
    for (key, value) in mapping {
      let line = key.mark?.line ?? 1
      guard let name = key.scalar?.string else {
        throw .usage("\(path):\(line): a key must be the name of an option")
      }
      entries.append((name, value, line))
    }
    return entries
  }

  /// How many `*` begin a word, which is at least as many as there are aliases.
  private static func aliases(in bytes: [UInt8]) -> Int {
    zip(bytes, bytes.dropFirst()).count { $0 == UInt8(ascii: "*") && $1 > UInt8(ascii: " ") }
  }

  /// What the reader of YAML has to say, in one line.
  private static func syntaxError(_ error: any Error, _ path: String) -> Failure {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return .usage("\(path):\(mark.line): not YAML: \(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      let names = keys.sorted().prefix(3).map { "'\(excerpt($0))'" }.joined(separator: ", ")
      return .usage("\(path):\(context.mark.line): given more than once: \(names)")
    default:
      let line = "\(error)".split(separator: "\n").first ?? "unreadable"
      return .usage("\(path): not YAML: \(excerpt(line))")
    }
  }

  /// The value of the last `--config`.
  private static func path(in arguments: [String]) throws(Failure) -> String? {
    guard let index = arguments.lastIndex(where: { longName($0) == "config" }) else { return nil }
    if let equals = arguments[index].firstIndex(of: "=") {
      return String(arguments[index][arguments[index].index(after: equals)...])
    }
    guard index + 1 < arguments.count else { throw .usage("--config needs the name of a file") }
    return arguments[index + 1]
  }

  /// `factors` of `--factors` and of `--factors=8`.
  private static func longName(_ argument: String) -> String? {
    guard argument.hasPrefix("--") else { return nil }
    return String(argument.dropFirst(2).prefix { $0 != "=" })
  }

  /// Whether each long option of a subcommand is a flag; `nil` when there is no such subcommand.
  private static func options(of name: String) throws(Failure) -> [String: Bool]? {
    let commands = Inverse.configuration.subcommands
    guard let command = commands.first(where: { $0._commandName == name }) else { return nil }
    do {
      // The parser's own description of a command, the one shell completions are made from.
      let description = try JSONDecoder().decode(
        CommandDescription.self, from: Data(command._dumpHelp().utf8))
      var options: [String: Bool] = [:]
      for argument in description.command.arguments ?? [] {
        for name in argument.names ?? [] where name.kind == "long" {
          options[name.name] = argument.kind == "flag"
        }
      }
      for name in ["help", "version"] { options[name] = nil }
      return options
    } catch {
      throw .software("cannot read the description of \(name): \(error)")
    }
  }
}

/// The part of the argument parser's description of a command that is used here.
private struct CommandDescription: Decodable {
  struct Command: Decodable { var arguments: [Argument]? }
  struct Argument: Decodable {
    var kind: String
    var names: [Name]?
  }
  struct Name: Decodable {
    var kind: String
    var name: String
  }
  var command: Command
}

/// The name that takes the fewest insertions, deletions and substitutions to become `name`, if
/// that is at most half of it.
func nearestName(to name: String, among names: some Sequence<String>) -> String? {
  // Longer than twice any name, none is near; and comparing takes the product of the lengths.
  guard name.utf8.count <= 128 else { return nil }
  let distances = names.sorted().map { ($0, editDistance($0, name)) }
  guard let best = distances.min(by: { $0.1 < $1.1 }), best.1 <= max(1, name.count / 2) else {
    return nil
  }
  return best.0
}

/// Levenshtein's distance.
private func editDistance(_ first: String, _ second: String) -> Int {
  let second = Array(second)
  var row = Array(0...second.count)
  for (i, left) in first.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, right) in second.enumerated() {
      let substitution = diagonal + (left == right ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substitution, row[j] + 1, diagonal + 1)
    }
  }
  return row[second.count]
}
