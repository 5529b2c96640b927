/// The checkpoints of one run: a directory of directories that each appear only when complete.
///
///     step-000000001000/   model.safetensors optimizer.safetensors state.json manifest.json
///     step-000000002000/   the same, later
///     best/                model.safetensors state.json manifest.json
///     latest               the name of the newest, for people and scripts
///
/// A checkpoint is written into `.NAME.partial`, brought to the disk, and renamed. One that stood
/// under that name is `.NAME.old` for the moment between two renames, and is found there when the
/// process dies in it. So at every instant each checkpoint once complete can be opened until newer
/// ones have taken its place. One job at a time may save into a store; any number may read.
package struct CheckpointStore: Sendable {
  /// Where the checkpoints are; made by the first save, in a directory that is there.
  package let directory: String
  /// How many step checkpoints are kept, at least 1; the best one is kept besides.
  package let keep: Int
  /// Called on rank 0 at each ``SaveStage``; an error thrown from it is one of that stage. It is
  /// there for tests, which look at the disk or fail at any instant of a save.
  package var onStage: (@Sendable (SaveStage) throws -> Void)?

  /// The name of the best checkpoint.
  package static let bestName = "best"
  /// The file that holds the name of the newest checkpoint.
  package static let latestName = "latest"
  static let partialSuffix = ".partial"
  static let oldSuffix = ".old"
  private static let stepPrefix = "step-"

  /// A store, on whose disk nothing happens yet.
  package init(directory: String, keep: Int = 3) {
    precondition(keep >= 1, "at least one checkpoint must be kept")
    self.directory = directory
    self.keep = keep
  }

  /// The name of the checkpoint after `step`: `step-000000001234`.
  package static func name(of step: Int) -> String {
    let digits = String(step)
    return stepPrefix + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
  }

  /// The step of a checkpoint's name, or `nil` when it is not one that ``name(of:)`` gives.
  static func step(of name: String) -> Int? {
    guard name.hasPrefix(stepPrefix), let step = Int(name.dropFirst(stepPrefix.count)), step >= 0,
      self.name(of: step) == name
    else { return nil }
    return step
  }

  /// The checkpoint name inside `.NAME.partial` or `.NAME.old`, or `nil` for any other name.
  static func name(hidden: String, suffix: String) -> String? {
    guard hidden.hasPrefix("."), hidden.hasSuffix(suffix) else { return nil }
    let name = String(hidden.dropFirst().dropLast(suffix.count))
    return name == bestName || step(of: name) != nil ? name : nil
  }

  func path(_ name: String) -> String { "\(directory)/\(name)" }
  func partialPath(_ name: String) -> String { path(".\(name)\(Self.partialSuffix)") }
  func oldPath(_ name: String) -> String { path(".\(name)\(Self.oldSuffix)") }
}

/// What a save has done so far, on rank 0.
package enum SaveStage: CaseIterable, Sendable {
  /// Leftovers of dead processes are gone, and the hidden directory is there.
  case prepared
  /// The tensor files are on the disk.
  case tensorsWritten
  /// `state.json` is on the disk.
  case stateWritten
  /// The manifest is on the disk: the hidden directory is complete.
  case manifestWritten
  /// What stood under the final name has been moved aside; only when there was something.
  case oldMovedAside
  /// The checkpoint has its final name.
  case renamed
  /// What was moved aside is gone.
  case oldRemoved
  /// `latest` names the checkpoint; not for the best one.
  case latestWritten
  /// Checkpoints beyond those to keep are gone; not for the best one.
  case pruned
}

/// What a save has written.
package struct SavedCheckpoint: Equatable, Sendable {
  /// Its name in the store.
  package let name: String
  /// The SHA-256 of the whole of `model.safetensors`, 64 hexadecimal digits.
  package let modelSHA256: String
}

/// A best model whose tensors are written and which has not taken its place yet.
package struct StagedBest: Sendable {
  /// Steps done when it was staged.
  package let step: Int
  /// The content of its `state.json`, from rank 0.
  let state: [UInt8]
}
