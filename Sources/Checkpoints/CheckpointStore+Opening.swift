package import Fabric
import Storage

extension CheckpointStore {
  /// Opens the newest checkpoint that is complete and unaltered. A collective.
  ///
  /// Candidates are tried by their step, newest first; every byte of a candidate is verified before
  /// it is used. Nothing on the disk is changed.
  ///
  /// - Parameters:
  ///   - group: The ranks, as many as one likes.
  ///   - warn: Called on rank 0 once for each candidate that was refused, with one line that says
  ///     why and what is used instead.
  /// - Returns: The checkpoint, or `nil` on all ranks when there is none, or none that is valid.
  /// - Throws: `Failure` on all ranks when the directory cannot be read.
  package func openNewest(
    group: any ProcessGroup, warn: (_ line: String) -> Void
  ) throws -> Checkpoint? {
    var names: [String] = []
    try group.onRoot { names = try stepCandidates() }
    return try openFirst(of: names, group: group, warn: warn)
  }

  /// Opens the best model. A collective.
  ///
  /// - Parameters:
  ///   - group: The ranks.
  ///   - warn: As for ``openNewest(group:warn:)``.
  /// - Returns: The checkpoint, or `nil` on all ranks when there is none, or none that is valid.
  /// - Throws: `Failure` on all ranks when the directory cannot be read.
  package func openBest(
    group: any ProcessGroup, warn: (_ line: String) -> Void
  ) throws -> Checkpoint? {
    var names: [String] = []
    try group.onRoot { names = candidates(Self.bestName) }
    return try openFirst(of: names, group: group, warn: warn)
  }

  /// Tries the names that rank 0 passes, in their order.
  private func openFirst(
    of names: [String], group: any ProcessGroup, warn: (String) -> Void
  ) throws -> Checkpoint? {
    let shared = try group.broadcast(Array(names.joined(separator: "\n").utf8), from: 0)
    var refusals: [String] = []
    var found: Checkpoint?
    for name in String(decoding: shared, as: UTF8.self).split(separator: "\n").map(String.init) {
      switch try open(name, group: group) {
      case .success(let checkpoint): found = checkpoint
      case .failure(let failure):
        refusals.append("checkpoint \(name) refused: \(failure.message)")
        continue
      }
      break
    }
    guard group.rank == 0 else { return found }
    let instead = found.map { "using \($0.name)" } ?? "no other checkpoint is left"
    for refusal in refusals { warn("\(refusal); \(instead)") }
    return found
  }

  private func open(
    _ name: String, group: any ProcessGroup
  ) throws -> Result<Checkpoint, Failure> {
    let opened = try Checkpoint.open(path(name), group: group)
    guard case .success(let checkpoint) = opened, let step = Self.step(of: name),
      step != checkpoint.step
    else { return opened }
    return .failure(
      .data("\(Manifest.fileName) is that of step \(checkpoint.step): the directory was renamed"))
  }

  /// All steps with something to open, newest first.
  private func stepCandidates() throws(Failure) -> [String] {
    guard Files.exists(directory) else { return [] }
    let names = try Files.names(in: directory)
    let steps = names.compactMap {
      Self.step(of: Self.name(hidden: $0, suffix: Self.oldSuffix) ?? $0)
    }
    return Set(steps).sorted(by: >).flatMap { candidates(Self.name(of: $0)) }
  }

  /// Where the checkpoint `name` can be: under its name, or aside when a replacement was cut short.
  private func candidates(_ name: String) -> [String] {
    [name, Files.name(of: oldPath(name))].filter { Files.exists(path($0)) }
  }
}
