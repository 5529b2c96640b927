import Checkpoints
import Fabric
import Foundation
import Storage
import Testing

@Suite struct StoreTests {
  private func withStore(keep: Int = 3, _ body: (CheckpointStore) throws -> Void) throws {
    try withDirectory { root in
      try Files.createDirectory(root + "/run")
      try body(CheckpointStore(directory: root + "/run/checkpoints", keep: keep))
    }
  }

  private func names(_ store: CheckpointStore) throws -> [String] {
    try Files.names(in: store.directory)
  }

  @Test(arguments: [1, 2, 3]) func onlyTheNewestAreKept(keep: Int) throws {
    try withStore(keep: keep) { store in
      try store.saveToyBest(1)
      for step in 1...5 {
        try store.saveToy(step)
        let kept = (max(1, step - keep + 1)...step).map { CheckpointStore.name(of: $0) }
        #expect(try names(store) == ["best", "latest"] + kept)
        let latest = try Files.read(store.directory + "/latest")
        #expect(String(decoding: latest, as: UTF8.self) == "\(CheckpointStore.name(of: step))\n")
      }
      #expect(try store.newest().checkpoint?.salt() == 5)
      #expect(try store.best()?.salt() == 1)
    }
  }

  /// After going back to an earlier checkpoint the later ones still stand, and the new one is safe.
  @Test func goingBackNeverCostsTheCheckpointJustSaved() throws {
    try withStore(keep: 1) { store in
      try store.saveToy(30)
      try store.saveToy(20)
      #expect(try names(store) == ["latest", "step-000000000020", "step-000000000030"])
      try store.saveToy(40)
      #expect(try names(store) == ["latest", "step-000000000040"])
    }
  }

  @Test func namesSortLikeSteps() {
    #expect(CheckpointStore.name(of: 0) == "step-000000000000")
    #expect(CheckpointStore.name(of: 1234) == "step-000000001234")
    #expect(CheckpointStore.name(of: 1_234_567_890_123) == "step-1234567890123")
  }

  /// Steps beyond twelve digits are newer, although their names sort before.
  @Test func theNewestIsFoundByItsNumber() throws {
    try withStore { store in
      try store.saveToy(999_999_999_999, salt: 1)
      try store.saveToy(1_000_000_000_000, salt: 2)
      try Files.createDirectory(store.directory + "/step-2000000000000x")
      try Files.createDirectory(store.directory + "/step-0003000000000000")
      try Files.createDirectory(store.directory + "/step-")
      let (checkpoint, warnings) = try store.newest()
      #expect(try checkpoint?.salt() == 2)
      #expect(warnings.isEmpty)
    }
  }

  @Test func aStepIsReplacedByItsNewVersion() throws {
    try withStore { store in
      let first = try store.saveToy(10, salt: 1)
      #expect(try store.saveToy(10, salt: 1) == first)
      #expect(try store.newest().checkpoint?.salt() == 1)
      #expect(try store.saveToy(10, salt: 2) != first)
      #expect(try store.newest().checkpoint?.salt() == 2)
      try Files.remove(store.directory + "/step-000000000010/manifest.json")
      try store.saveToy(10, salt: 3)
      #expect(try store.newest().checkpoint?.salt() == 3)
      #expect(try names(store) == ["latest", "step-000000000010"])
    }
  }

  @Test func theBestModelIsReplacedAndHasNoOptimizer() throws {
    try withStore { store in
      #expect(try store.best() == nil)
      try store.saveToyBest(4)
      let saved = try store.saveToyBest(8)
      let best = try #require(try store.best())
      #expect(saved.name == "best" && best.name == "best")
      #expect(best.modelSHA256 == saved.modelSHA256)
      #expect(best.step == 8 && best.optimizer == nil)
      #expect(try best.salt() == 8)
      #expect(try names(store) == ["best"])
      #expect(try store.newest().checkpoint == nil)
    }
  }

  @Test func leftoversOfDeadProcessesAreRemoved() throws {
    try withStore { store in
      try store.saveToy(10)
      for leftover in [".step-000000000020.partial", ".best.partial"] {
        try Files.createDirectory("\(store.directory)/\(leftover)")
        try Files.replace("\(store.directory)/\(leftover)/model.safetensors", with: [1, 2])
      }
      try Files.createDirectory(store.directory + "/.notes.partial")
      #expect(try store.newest().checkpoint?.step == 10)
      try store.saveToy(20)
      // What is not of this store's making stays.
      #expect(
        try names(store) == [
          ".notes.partial", "latest", "step-000000000010", "step-000000000020",
        ])
    }
  }

  /// Opening never writes, so a store on a read-only disk can be read.
  @Test func openingChangesNothing() throws {
    try withStore { store in
      try store.saveToy(10)
      try store.saveToyBest(10)
      try Files.rename(store.directory + "/best", to: store.directory + "/.best.old")
      try Files.createDirectory(store.directory + "/.step-000000000020.partial")
      let before = try names(store)
      #expect(try store.best()?.salt() == 10)
      #expect(try store.newest().checkpoint?.salt() == 10)
      #expect(try names(store) == before)
    }
  }

  /// The step and the metadata of a model reach whoever reads the file without this program.
  @Test func theModelFileCarriesItsMetadata() throws {
    try withStore { store in
      try store.saveToy(10)
      let checkpoint = try #require(try store.newest().checkpoint)
      #expect(checkpoint.model.metadata == ["backbone": "gmf"])
      #expect(
        checkpoint.model.entries.map(\.name) == ["dense.bias", "item.factors", "user.factors"])
    }
  }

  @Test func misuseStopsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      _ = CheckpointStore(directory: "x", keep: 0)
    }
    await #expect(processExitsWith: .failure) {
      let none: UnsafePointer<Float>? = nil
      _ = unsafe TensorSlab(name: "rows without memory", shape: [2], rows: 0..<1, base: none)
    }
    await #expect(processExitsWith: .failure) {
      let none: UnsafePointer<Float>? = nil
      _ = unsafe TensorSlab(name: "rows beyond the shape", shape: [2], rows: 3..<3, base: none)
    }
    await #expect(processExitsWith: .failure) {
      let none: UnsafePointer<Float>? = nil
      _ = unsafe TensorSlab(name: "overlap", shape: [2, 3], rows: 0..<0, stride: 2, base: none)
    }
  }
}
