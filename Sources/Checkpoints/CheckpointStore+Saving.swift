package import Fabric
import Storage

extension CheckpointStore {
  /// Writes the checkpoint of a step and removes those beyond ``keep``. A collective.
  ///
  /// - Parameters:
  ///   - step: The number of steps done; not negative. A checkpoint of the same step is replaced.
  ///   - model: This rank's rows of the parameters.
  ///   - optimizer: This rank's rows of the optimizers' state.
  ///   - state: The content of `state.json`, from rank 0.
  ///   - metadata: Strings for the header of the model file, the same on all ranks.
  ///   - staged: A best model to publish when all but the name of the checkpoint is on the disk.
  ///   - group: The ranks.
  /// - Returns: What was written, on all ranks.
  /// - Throws: `Failure` on all ranks when one fails, with `rank r failed: …` on the others: the
  ///   checkpoints before it and `latest` are as they were, nothing half-written stands under a
  ///   final name, and the group can be used on. When only `latest` or the removal of older ones
  ///   failed, the new checkpoint stands and will be found.
  /// - Complexity: each rank writes what it holds and reads back one P-th for the checksums; rank 0
  ///   reads back the whole model for its digest.
  package func save(
    step: Int, model: [TensorSlab], optimizer: [TensorSlab], state: [UInt8],
    metadata: [String: String] = [:], publishing staged: StagedBest? = nil,
    group: any ProcessGroup
  ) throws -> SavedCheckpoint {
    precondition(step >= 0, "a step must not be negative")
    let name = Self.name(of: step)
    let tensors: [(file: String, slabs: [TensorSlab], metadata: [String: String])] = [
      (Manifest.modelName, model, metadata), (Manifest.optimizerName, optimizer, [:]),
    ]
    let saved = try cleaning(name, group: group) {
      try write(tensors, of: name, keepingBest: staged != nil, group: group)
      return try complete(name, step: step, tensors.map(\.file), state: state, group: group) {
        if let staged { _ = try publish(staged, group: group) }
      }
    }
    try group.onRoot {
      // Only people and scripts read it, so nothing waits for the disk.
      try Files.replace(
        path(Self.latestName), with: Array("\(saved.name)\n".utf8), durable: false)
      try onStage?(.latestWritten)
      try prune(before: step)
      try onStage?(.pruned)
    }
    return saved
  }

  /// Writes the best model so far beside `best`, which stays as it is until ``publish(_:group:)``.
  /// A collective.
  ///
  /// One that was staged before and not published is replaced, and any save removes it that is not
  /// to publish it: right when a run goes on from an older checkpoint.
  ///
  /// - Parameters:
  ///   - step: The number of steps done; not negative.
  ///   - model: This rank's rows of the parameters.
  ///   - state: The content of `state.json` (epoch, step, metrics), from rank 0.
  ///   - metadata: Strings for the header of the model file, the same on all ranks.
  ///   - group: The ranks.
  /// - Returns: What to publish.
  /// - Throws: `Failure` on all ranks when one fails; nothing is staged then.
  package func stageBest(
    step: Int, model: [TensorSlab], state: [UInt8], metadata: [String: String] = [:],
    group: any ProcessGroup
  ) throws -> StagedBest {
    precondition(step >= 0, "a step must not be negative")
    try cleaning(Self.bestName, group: group) {
      try write(
        [(Manifest.modelName, model, metadata)], of: Self.bestName, keepingBest: false,
        group: group)
    }
    return StagedBest(step: step, state: state)
  }

  /// Gives a staged best model the place of the one before. A collective.
  ///
  /// - Parameters:
  ///   - staged: What the last call of ``stageBest(step:model:state:metadata:group:)`` returned.
  ///   - group: The same ranks.
  /// - Returns: What was written, on all ranks.
  /// - Throws: `Failure` on all ranks when one fails; the best one before it can still be opened,
  ///   and what is staged can still be published.
  package func publish(_ staged: StagedBest, group: any ProcessGroup) throws -> SavedCheckpoint {
    if let published = try published(staged, group: group) { return published }
    return try complete(
      Self.bestName, step: staged.step, [Manifest.modelName], state: staged.state, group: group)
  }

  /// What an earlier call has published, if it failed only after that.
  private func published(
    _ staged: StagedBest, group: any ProcessGroup
  ) throws -> SavedCheckpoint? {
    var digits: [UInt8] = []
    try group.onRoot {
      let final = path(Self.bestName)
      guard !Files.exists(partialPath(Self.bestName)),
        let bytes = try? Files.read("\(final)/\(Manifest.fileName)"),
        let manifest = try? Manifest(parsing: bytes), manifest.step == staged.step,
        (try? Files.read("\(final)/\(Manifest.stateName)")) == staged.state
      else { return }
      try Files.synchronize(directory)
      try Files.remove(oldPath(Self.bestName))
      digits = Array(manifest.modelSHA256.utf8)
    }
    let shared = try group.broadcast(digits, from: 0)
    guard !shared.isEmpty else { return nil }
    return SavedCheckpoint(
      name: Self.bestName, modelSHA256: String(decoding: shared, as: UTF8.self))
  }

  /// Runs `body`; what it leaves hidden is removed when it throws.
  private func cleaning<Value>(
    _ name: String, group: any ProcessGroup, _ body: () throws -> Value
  ) throws -> Value {
    do {
      return try body()
    } catch {
      // The first error is the one to report; what cannot be removed is hidden and goes next time.
      if group.rank == 0 { try? Files.remove(partialPath(name)) }
      throw error
    }
  }

  /// Makes the hidden directory and writes its tensor files.
  private func write(
    _ tensors: [(file: String, slabs: [TensorSlab], metadata: [String: String])], of name: String,
    keepingBest: Bool, group: any ProcessGroup
  ) throws {
    let partial = partialPath(name)
    try group.onRoot {
      // Not a run directory that somebody has removed.
      try Files.createDirectory(directory, makingParents: false)
      try tidy(keepingBest: keepingBest)
      try Files.createDirectory(partial, makingParents: false)
      try onStage?(.prepared)
    }
    for (file, slabs, metadata) in tensors {
      try TensorFile.write("\(partial)/\(file)", slabs, metadata: metadata, group: group)
      try group.position.enter(.write)
    }
    try group.onRoot { try onStage?(.tensorsWritten) }
  }

  /// Adds state and manifest to a hidden directory with these tensor files, runs `body` and gives
  /// the directory its name.
  private func complete(
    _ name: String, step: Int, _ files: [String], state: [UInt8], group: any ProcessGroup,
    beforeRenaming body: () throws -> Void = {}
  ) throws -> SavedCheckpoint {
    let partial = partialPath(name)
    try group.onRoot {
      // Of a try before this one.
      try Files.remove("\(partial)/\(Manifest.stateName)")
      try Files.remove("\(partial)/\(Manifest.fileName)")
      try write(state, to: "\(partial)/\(Manifest.stateName)")
      try onStage?(.stateWritten)
    }
    let records = try records(of: files + [Manifest.stateName], in: partial, group: group)
    var sha256 = ""
    try group.onRoot {
      sha256 = try digest(of: "\(partial)/\(Manifest.modelName)")
      let manifest = Manifest(step: step, modelSHA256: sha256, files: records)
      try write(manifest.encoded(), to: "\(partial)/\(Manifest.fileName)")
      try Files.synchronize(partial)
      try onStage?(.manifestWritten)
    }
    try body()
    try group.onRoot { try replace(name) }
    let digits = try group.broadcast(Array(sha256.utf8), from: 0)
    return SavedCheckpoint(name: name, modelSHA256: String(decoding: digits, as: UTF8.self))
  }

  private func records(
    of files: [String], in partial: String, group: any ProcessGroup
  ) throws -> [String: FileRecord] {
    var records: [String: FileRecord] = [:]
    for file in files {
      let reader = try group.agree { try FileReader(path: "\(partial)/\(file)") }.get()
      records[file] = try FileRecord.compute(reader, group: group).get()
    }
    return records
  }

  private func digest(of path: String) throws(Failure) -> String {
    let file = try FileReader(path: path)
    var digest = SHA256()
    for offset in stride(from: 0, to: file.size, by: FileRecord.blockSize) {
      let bytes = try file.read(min(FileRecord.blockSize, file.size - offset), at: offset)
      unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
    }
    return digest.hexadecimal()
  }

  private func write(_ bytes: [UInt8], to path: String) throws(Failure) {
    let writer = try FileWriter(path: path)
    try writer.append(contentsOf: bytes)
    _ = try writer.close()
  }

  /// Gives the complete hidden directory its final name.
  private func replace(_ name: String) throws {
    let (final, old) = (path(name), oldPath(name))
    let isReplacing = Files.exists(final)
    if isReplacing {
      try Files.rename(final, to: old)
    }
    do {
      if isReplacing { try onStage?(.oldMovedAside) }
      try Files.rename(partialPath(name), to: final)
    } catch {
      // Best effort: where this fails too, readers and the next save find it under the old name.
      if isReplacing { try? Files.rename(old, to: final) }
      throw error
    }
    try Files.synchronize(directory)
    try onStage?(.renamed)
    if isReplacing { try Files.remove(old) }
    try onStage?(.oldRemoved)
  }

  /// Removes what dead processes left half-written, and finishes or undoes their replacements.
  private func tidy(keepingBest: Bool) throws(Failure) {
    for hidden in try Files.names(in: directory) {
      if let name = Self.name(hidden: hidden, suffix: Self.partialSuffix) {
        if keepingBest && name == Self.bestName { continue }
        try Files.remove(path(hidden))
      } else if let name = Self.name(hidden: hidden, suffix: Self.oldSuffix) {
        if Files.exists(path(name)) {
          try Files.remove(path(hidden))
        } else {
          try Files.rename(path(hidden), to: path(name))
        }
      }
    }
  }

  /// Removes step checkpoints before `step` beyond those to keep.
  ///
  /// Later ones are left alone: they belong to a run that went on from here before.
  private func prune(before step: Int) throws(Failure) {
    let earlier = try Files.names(in: directory).compactMap(Self.step(of:))
      .filter { $0 < step }.sorted(by: >)
    for step in earlier.dropFirst(keep - 1) {
      // Renamed first, so that nothing half-removed stands under a final name.
      let name = Self.name(of: step)
      try Files.rename(path(name), to: partialPath(name))
      try Files.remove(partialPath(name))
    }
  }
}
