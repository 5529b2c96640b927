import Checkpoints
import Fabric
import Foundation
import Storage
import Synchronization
import Testing

/// The disk as a process that dies in the middle of a save leaves it, at every stage.
@Suite struct CrashTests {
  /// Saves once more and keeps a copy of the store as it stood at each stage.
  private func snapshots(
    of store: CheckpointStore, in root: String, _ save: (CheckpointStore) throws -> Void
  ) throws -> [(stage: SaveStage, store: CheckpointStore)] {
    let stages = Mutex<[SaveStage]>([])
    var watched = store
    watched.onStage = { stage in
      stages.withLock { $0.append(stage) }
      try FileManager.default.copyItem(atPath: store.directory, toPath: "\(root)/\(stage)")
    }
    try save(watched)
    return stages.withLock { $0 }.map {
      ($0, CheckpointStore(directory: "\(root)/\($0)", keep: store.keep))
    }
  }

  private func isRenamed(_ stage: SaveStage) -> Bool {
    switch stage {
    case .prepared, .tensorsWritten, .stateWritten, .manifestWritten, .oldMovedAside: false
    case .renamed, .oldRemoved, .latestWritten, .pruned: true
    }
  }

  private func visible(_ store: CheckpointStore) throws -> [String] {
    try Files.names(in: store.directory).filter { $0.hasPrefix(".") }
  }

  @Test func aNewStepIsThereWholeOrNotAtAll() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store", keep: 2)
      try store.saveToy(10)
      try store.saveToy(20)
      let copies = try snapshots(of: store, in: root) { try $0.saveToy(30) }
      #expect(copies.map(\.stage) == SaveStage.allCases.filter { $0 != .oldMovedAside })
      for (stage, copy) in copies {
        let (checkpoint, warnings) = try copy.newest()
        #expect(try checkpoint?.salt() == (isRenamed(stage) ? 30 : 20), "\(stage)")
        #expect(warnings.isEmpty, "\(stage)")
        // `latest` names a checkpoint that can be opened, at every instant.
        let latest = String(decoding: try Files.read(copy.directory + "/latest"), as: UTF8.self)
        let path = "\(copy.directory)/\(latest.dropLast())"
        #expect(try Checkpoint(path: path, group: SoloGroup()).step >= 20)
        try copy.saveToy(40)
        #expect(try copy.newest().checkpoint?.salt() == 40)
        #expect(try visible(copy) == [], "\(stage)")
      }
    }
  }

  @Test func aStepSavedAgainIsThereOldOrNew() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store", keep: 2)
      try store.saveToy(5)
      try store.saveToy(10, salt: 1)
      let copies = try snapshots(of: store, in: root) { try $0.saveToy(10, salt: 2) }
      #expect(copies.map(\.stage) == SaveStage.allCases)
      for (stage, copy) in copies {
        #expect(try copy.newest().checkpoint?.salt() == (isRenamed(stage) ? 2 : 1), "\(stage)")
        try copy.saveToy(20)
        let files = try Files.names(in: copy.directory)
        #expect(files == ["latest", "step-000000000010", "step-000000000020"], "\(stage)")
        try Files.remove(copy.directory + "/step-000000000020")
        #expect(try copy.newest().checkpoint?.salt() == (isRenamed(stage) ? 2 : 1), "\(stage)")
      }
    }
  }

  @Test func theBestModelIsThereOldOrNew() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store")
      try store.saveToyBest(1)
      let copies = try snapshots(of: store, in: root) { try $0.saveToyBest(2) }
      #expect(
        copies.map(\.stage)
          == SaveStage.allCases.filter { $0 != .latestWritten && $0 != .pruned })
      for (stage, copy) in copies {
        #expect(try copy.best()?.salt() == (isRenamed(stage) ? 2 : 1), "\(stage)")
        // Any save finishes or undoes what was cut short.
        try copy.saveToy(3)
        #expect(try Files.names(in: copy.directory) == ["best", "latest", "step-000000000003"])
        #expect(try copy.best()?.salt() == (isRenamed(stage) ? 2 : 1), "\(stage)")
      }
    }
  }

  @Test func aStagedModelTakesItsPlaceWhenItIsPublished() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store")
      try store.saveToyBest(1)
      _ = try store.stageToyBest(2)
      #expect(try store.best()?.salt() == 1)
      let staged = try store.stageToyBest(3)
      #expect(try store.best()?.salt() == 1)
      #expect(try store.publish(staged, group: SoloGroup()).name == "best")
      #expect(try store.best()?.salt() == 3)
      #expect(try store.best()?.step == 3)
      #expect(try Files.names(in: store.directory) == ["best"])
    }
  }

  /// What a dead process had staged belongs to epochs that will be done again.
  @Test func aStagedModelThatNobodyPublishesIsRemoved() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store")
      try store.saveToyBest(1)
      let staged = try store.stageToyBest(2)
      try store.saveToy(3)
      #expect(try Files.names(in: store.directory) == ["best", "latest", "step-000000000003"])
      #expect(try store.best()?.salt() == 1)
      #expect(throws: Failure.self) { try store.publish(staged, group: SoloGroup()) }
      #expect(try store.best()?.salt() == 1)
    }
  }

  /// A process that dies between any two of the bytes it writes leaves what is found here.
  @Test func aHiddenDirectoryIsNeverOpened() throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store")
      try store.saveToy(10)
      try store.saveToy(20)
      try Files.rename(
        store.directory + "/step-000000000020", to: store.directory + "/.step-000000000020.partial")
      #expect(try store.newest().checkpoint?.salt() == 10)
    }
  }
}
