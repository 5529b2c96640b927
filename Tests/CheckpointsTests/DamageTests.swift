import Checkpoints
import Fabric
import Foundation
import Storage
import Testing

/// Whatever happens to the bytes of a checkpoint, it is refused and the one before is used.
@Suite struct DamageTests {
  static let files = [
    "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json",
  ]

  /// A store with two checkpoints, of which the second is about to suffer.
  private func withStore(_ body: (CheckpointStore, _ newest: String) throws -> Void) throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/checkpoints")
      try store.saveToy(10)
      try store.saveToy(20)
      #expect(try store.newest().checkpoint?.step == 20)
      try body(store, root + "/checkpoints/step-000000000020")
    }
  }

  /// The previous checkpoint is used, and one line says why.
  private func expectRefusal(_ store: CheckpointStore, naming file: String, _ what: String) throws {
    let (checkpoint, warnings) = try store.newest()
    #expect(checkpoint?.step == 10, "\(what)")
    #expect(warnings.count == 1, "\(what)")
    let line = warnings.first ?? ""
    #expect(
      line.hasPrefix("checkpoint step-000000000020 refused: ")
        && line.hasSuffix("; using step-000000000010") && line.contains(file)
        && !line.contains("\n"), "\(what): \(line)")
  }

  @Test(arguments: files) func everyAlteredByteIsNoticed(file: String) throws {
    try withStore { store, newest in
      let path = "\(newest)/\(file)"
      let valid = try Files.read(path)
      for place in valid.indices {
        for mask in [1 << UInt8(place % 8), 0xFF] as [UInt8] {
          var bytes = valid
          bytes[place] ^= mask
          try overwrite(path, bytes)
          try expectRefusal(store, naming: file, "byte \(place) xor \(mask)")
        }
      }
      try overwrite(path, valid)
      #expect(try store.newest().checkpoint?.salt() == 20)
    }
  }

  @Test(arguments: files) func everyTruncationIsNoticed(file: String) throws {
    try withStore { store, newest in
      let path = "\(newest)/\(file)"
      let valid = try Files.read(path)
      for count in valid.indices {
        try overwrite(path, Array(valid.prefix(count)))
        try expectRefusal(store, naming: file, "\(count) of \(valid.count) bytes")
      }
      try overwrite(path, valid + [0x20])
      try expectRefusal(store, naming: file, "one byte more")
      try Files.remove(path)
      try expectRefusal(store, naming: file, "no file")
      try Files.createDirectory(path)
      try expectRefusal(store, naming: file, "a directory")
    }
  }

  /// The best model is what is evaluated and what other runs start from; the one before it serves
  /// only where its replacement was cut short.
  @Test(arguments: ["model.safetensors", "state.json", "manifest.json"])
  func everyAlteredByteOfTheBestModelIsNoticed(file: String) throws {
    try withStore { store, _ in
      try store.saveToyBest(10)
      try FileManager.default.copyItem(
        atPath: "\(store.directory)/best", toPath: "\(store.directory)/.best.old")
      try store.saveToyBestKeepingOld(20)
      let path = "\(store.directory)/best/\(file)"
      let valid = try Files.read(path)
      for place in valid.indices {
        var bytes = valid
        bytes[place] ^= 1 << UInt8(place % 8)
        try overwrite(path, bytes)
        #expect(try store.best()?.step == 10, "byte \(place)")
        try overwrite(path, Array(valid.prefix(place)))
        #expect(try store.best()?.step == 10, "\(place) bytes")
      }
      try Files.remove("\(store.directory)/.best.old")
      for place in valid.indices {
        var bytes = valid
        bytes[place] ^= 0xFF
        try overwrite(path, bytes)
        #expect(try store.best() == nil, "byte \(place)")
      }
      try overwrite(path, valid)
      #expect(try store.best()?.salt() == 20)
    }
  }

  /// Written without waiting for the disk: these tests rewrite files thousands of times.
  private func overwrite(_ path: String, _ bytes: [UInt8]) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  @Test(arguments: [2, 3]) func allRanksAgreeOnTheCheckpointBeforeADamagedOne(ranks: Int) throws {
    try withStore { store, newest in
      var bytes = try Files.read(newest + "/model.safetensors")
      bytes[bytes.count - 1] ^= 1
      try overwrite(newest + "/model.safetensors", bytes)
      let seen = try LocalGroup.run(ranks: ranks) { group in
        var lines: [String] = []
        let checkpoint = try store.openNewest(group: group) { lines.append($0) }
        return (checkpoint?.step, lines.count)
      }
      #expect(seen.map(\.0) == Array(repeating: 10, count: ranks))
      #expect(seen.map(\.1) == [1] + Array(repeating: 0, count: ranks - 1))
    }
  }

  @Test func withoutAValidCheckpointThereIsNone() throws {
    try withStore { store, newest in
      try Files.remove(newest + "/manifest.json")
      try Files.remove(store.directory + "/step-000000000010/state.json")
      let (checkpoint, warnings) = try store.newest()
      #expect(checkpoint == nil)
      #expect(
        warnings == [
          """
          checkpoint step-000000000020 refused: manifest.json is missing: the checkpoint is not \
          complete; no other checkpoint is left
          """,
          """
          checkpoint step-000000000010 refused: state.json is missing; no other checkpoint is left
          """,
        ])
      #expect(try store.best() == nil)
      let nowhere = CheckpointStore(directory: store.directory + "/none")
      #expect(try nowhere.newest().checkpoint == nil)
      #expect(!Files.exists(nowhere.directory))
    }
  }

  @Test func aCheckpointUnderAnotherNameIsRefused() throws {
    try withStore { store, newest in
      try Files.rename(newest, to: store.directory + "/step-000000000030")
      let (checkpoint, warnings) = try store.newest()
      #expect(checkpoint?.step == 10)
      #expect(warnings.first?.contains("is that of step 20: the directory was renamed") == true)
      let opened = try Checkpoint(
        path: store.directory + "/step-000000000030", group: SoloGroup())
      #expect(opened.step == 20)
    }
  }

  /// A manifest whose own checksum is right may still ask for what no checkpoint has.
  @Test(arguments: [
    (#"  "version": 1,"#, #"  "version": 2,"#, "has version 2; this program reads version 1"),
    (#""inverse-checkpoint""#, #""other""#, "is not that of an inverse checkpoint"),
    (#""state.json""#, #""../state.json""#, "was altered"),
    (#""state.json""#, #""z/../../state.json""#, "does not name state.json"),
    (#""optimizer.safetensors""#, #""optimizer""#, "names optimizer, which is no part"),
    (#"  "step": 20,"#, #"  "step": 20, "extra": 1,"#, "unknown key \"extra\""),
    (#"  "step": 20,"#, #"  "step": -1,"#, "no integer of 0 or more"),
    (#"  "step": 20,"#, #"  "step":  20,"#, "was altered"),
    (#"{"bytes": "#, #"{"sha1": 3, "bytes": "#, "unknown key \"sha1\""),
    (#""xxh64": ""#, #""xxh64": "g"#, "no checksum of hexadecimal digits"),
  ])
  func aForgedManifestIsRefused(original: String, forged: String, reason: String) throws {
    try withStore { store, newest in
      let path = newest + "/manifest.json"
      let text = String(decoding: try Files.read(path), as: UTF8.self)
      let body = try #require(text.range(of: "  \"checksum\""))
      let altered = text[..<body.lowerBound].replacing(original, with: forged)
      #expect(altered != text[..<body.lowerBound])
      let checksum = unsafe Array(altered.utf8).withUnsafeBytes { unsafe XXHash64.hash($0) }
      let digits = String(checksum, radix: 16)
      let padded = String(repeating: "0", count: 16 - digits.count) + digits
      try overwrite(path, Array("\(altered)  \"checksum\": \"\(padded)\"\n}\n".utf8))
      let (checkpoint, warnings) = try store.newest()
      #expect(checkpoint?.step == 10)
      #expect(warnings.first?.contains(reason) == true, "\(warnings)")
    }
  }
}
