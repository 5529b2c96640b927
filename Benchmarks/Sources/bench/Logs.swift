import Foundation
import Measuring
import Storage

/// The interaction logs that are measured on, and the datasets made from them, made when first
/// asked for.
final class Logs {
  /// Three files of one log.
  struct Log {
    let train: String
    let valid: String
    let test: String

    init(_ directory: String) {
      train = "\(directory)/train.tsv"
      valid = "\(directory)/valid.tsv"
      test = "\(directory)/test.tsv"
    }

    var arguments: [String] { ["--train", train, "--valid", valid, "--test", test] }
  }

  private unowned let session: Session
  private var made: [String: String] = [:]

  init(_ session: Session) { self.session = session }

  /// What the main log is, in words.
  static func describe(_ data: String?) -> String {
    data == nil
      ? "simulated, of the size of MovieLens-1M (no --data): 6,040 users, 3,706 items"
      : "MovieLens-1M, 600,125 labeled training rows"
  }

  /// The main log: MovieLens-1M, or a simulated one of its size with a label on every row.
  func main() throws -> Log {
    if let data = session.options.data { return Log("\(data)/ml-1m") }
    return Log(
      try simulate(
        "like-ml-1m",
        [
          "--users", "6040", "--items", "3706", "--interactions", "1000209", "--label-fraction",
          "1",
        ]
      ))
  }

  /// A name that tells the two sizes of the feed apart.
  var feedName: String { session.options.isQuick ? "small simulated feed" : "simulated feed" }

  /// A simulated feed of 5 million rows, most of them exposures without reaction; quick: 200,000.
  func feed() throws -> Log {
    Log(try simulate("feed", ["--preset", session.options.isQuick ? "quick" : "feed"]))
  }

  /// The first 40 % of the main log, the size of the reference implementation's published run.
  func schedule() throws -> Log {
    let log = try main()
    let directory = "\(session.scratch)/schedule"
    guard made["schedule"] == nil else { return Log(directory) }
    try Files.createDirectory(directory)
    let part = Log(directory)
    try Self.copyLines(240_050, from: log.train, to: part.train)
    try Self.copyLines(80_017, from: log.valid, to: part.valid)
    try Self.copyLines(80_017, from: log.test, to: part.test)
    made["schedule"] = directory
    return part
  }

  /// A dataset directory made from a log.
  func dataset(_ name: String, _ log: Log) throws -> String {
    let key = "dataset-\(name)"
    if let path = made[key] { return path }
    let path = "\(session.scratch)/\(key)"
    _ = try session.inverse(["prepare"] + log.arguments + [path])
    made[key] = path
    return path
  }

  func mainDataset() throws -> String { try dataset("main", try main()) }

  private func simulate(_ name: String, _ options: [String]) throws -> String {
    if let path = made[name] { return path }
    let path = "\(session.scratch)/\(name)"
    _ = try session.inverse(["synthesize", path] + options)
    made[name] = path
    return path
  }

  private static func copyLines(_ count: Int, from source: String, to target: String) throws {
    let bytes = try Files.read(source)
    var lines = 0
    var end = bytes.endIndex
    for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
      lines += 1
      if lines == count {
        end = index + 1
        break
      }
    }
    try Files.replace(target, with: Array(bytes[..<end]))
  }
}
