import Fabric
import Foundation
import Storage
import Training

/// Makes sure that all ranks are about to compute the same: the same program, the same options, the
/// same dataset. Ranks that differ there would wait for each other in different places, or mix two
/// models.
struct StartAgreement {
  /// Something that must be the same on all ranks.
  struct Fact: Codable, Equatable {
    var name: String
    var value: String
  }

  let group: any ProcessGroup

  /// Compares the program files of all ranks.
  ///
  /// - Throws: On all ranks the same `Failure` of kind usage; what the group throws.
  /// - Complexity: reads the program file once; one small collective if all agree.
  func requireSameProgram() throws {
    guard group.size > 1 else { return }
    try require([Fact(name: Self.program, value: try Self.programDigest())]) { mine, theirs in
      .usage(
        "\(mine.rank) runs another program file than \(theirs.rank): install the same build on "
          + "all hosts")
    }
  }

  /// Compares what all ranks were asked for.
  ///
  /// - Parameter options: In the same order on all ranks.
  /// - Throws: On all ranks the same `Failure` of kind usage; what the group throws.
  func requireSameOptions(_ options: [Fact]) throws {
    guard group.size > 1 else { return }
    try require(options) { mine, theirs in
      .usage(
        "\(mine.rank) has \(mine.fact) where \(theirs.rank) has \(theirs.fact): start all ranks "
          + "with the same options and configuration")
    }
  }

  /// Compares the datasets of all ranks.
  ///
  /// - Parameters:
  ///   - fingerprint: Of the dataset that this rank has opened.
  ///   - path: Where.
  /// - Throws: On all ranks the same `Failure` of kind data; what the group throws.
  func requireSameDataset(_ fingerprint: String, at path: String) throws {
    guard group.size > 1 else { return }
    try require([Fact(name: "dataset", value: fingerprint)]) { mine, theirs in
      .data(
        "\(mine.rank) has another dataset than \(theirs.rank) (\(path), fingerprints "
          + "\(mine.value.prefix(12)) and \(theirs.value.prefix(12))): copy the same dataset to "
          + "all hosts")
    }
  }

  /// The options of a configuration, each by its long name.
  static func facts(
    of configuration: TrainingConfiguration, prefix: String = ""
  ) throws(Failure) -> [Fact] {
    let text = Data(try RunDirectory.encode(configuration, pretty: false))
    guard let object = try? JSONSerialization.jsonObject(with: text) as? [String: Any] else {
      throw .software("the configuration is no object of JSON")
    }
    return object.map { key, value in
      let name = key.reduce(into: "\(prefix)--") { name, letter in
        name += letter.isUppercase ? "-\(letter.lowercased())" : String(letter)
      }
      return Fact(name: name, value: "\(value)")
    }.sorted { $0.name < $1.name }
  }

  /// One rank in a message: where it is, and what it has.
  private struct Side {
    var rank: String
    var name: String
    var value: String

    var fact: String { value.isEmpty ? "no \(name)" : "\(name) \(value)" }
  }

  private static let program = "program file"

  private static func programDigest() throws(Failure) -> String {
    let file = try FileReader(path: "/proc/self/exe")
    var digest = SHA256()
    let blockSize = 1 << 20
    for offset in stride(from: 0, to: file.size, by: blockSize) {
      let bytes = try file.read(min(blockSize, file.size - offset), at: offset)
      unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
    }
    return digest.hexadecimal()
  }

  /// Compares facts over all ranks, and lets all fail alike if some differ from those of rank 0.
  private func require(
    _ facts: [Fact], orThrow failure: (_ mine: Side, _ theirs: Side) -> Failure
  ) throws {
    let own = try RunDirectory.encode(facts, pretty: false)
    let digest = unsafe Int64(bitPattern: own.withUnsafeBytes { unsafe XXHash64.hash($0) })
    var ends = [digest, ~digest]
    unsafe try ends.withUnsafeMutableBufferPointer { unsafe try group.maximum($0) }
    guard ends[0] != ~ends[1] else { return }
    let first: [Fact] = try RunDirectory.decode(try broadcast(own, from: 0), "facts of rank 0")
    // The lowest rank that differs speaks for all.
    var culprit = [Int64(facts == first ? 0 : group.size - group.rank)]
    unsafe try culprit.withUnsafeMutableBufferPointer { unsafe try group.maximum($0) }
    let rank = group.size - Int(culprit[0])
    let theirs: [Fact] = try RunDirectory.decode(
      try broadcast(own, from: rank), "facts of rank \(rank)")
    let name = Self.firstDifference(theirs, first)
    func side(_ rank: Int, _ facts: [Fact]) -> Side {
      Side(
        rank: "rank \(rank) on \(group.hosts[rank])", name: name,
        value: facts.first { $0.name == name }?.value ?? "")
    }
    throw failure(side(rank, theirs), side(0, first))
  }

  /// The name of the first fact that the two lists do not share.
  private static func firstDifference(_ left: [Fact], _ right: [Fact]) -> String {
    (left + right).first { fact in !left.contains(fact) || !right.contains(fact) }?.name ?? ""
  }

  private func broadcast(_ bytes: [UInt8], from root: Int) throws -> [UInt8] {
    var count = Int64(bytes.count)
    unsafe try withUnsafeMutableBytes(of: &count) { unsafe try group.broadcast($0, from: root) }
    var result = group.rank == root ? bytes : [UInt8](repeating: 0, count: Int(count))
    unsafe try result.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: root) }
    return result
  }
}
