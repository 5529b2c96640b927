import Checkpoints
import Fabric
import Foundation
import Storage
import Testing

@Suite struct ParityTests {
  /// All files below a directory, by their relative paths.
  private func content(_ root: String) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: root) {
      var isDirectory: ObjCBool = false
      _ = unsafe FileManager.default.fileExists(
        atPath: "\(root)/\(name)", isDirectory: &isDirectory)
      if !isDirectory.boolValue { files[name] = try Files.read("\(root)/\(name)") }
    }
    return files
  }

  @Test func everyFileHasTheSameBytesOnAnyNumberOfRanks() throws {
    try withDirectory { root in
      for ranks in 1...5 {
        let store = CheckpointStore(directory: "\(root)/\(ranks)")
        let saved = try LocalGroup.run(ranks: ranks) { group in
          [try store.saveToy(10, group: group), try store.saveToyBest(7, group: group)]
        }
        #expect(saved.allSatisfy { $0 == saved[0] })
        let model = try Files.read("\(root)/\(ranks)/step-000000000010/model.safetensors")
        let digest = unsafe model.withUnsafeBytes { unsafe SHA256.hexadecimal(of: $0) }
        #expect(saved[0][0].name == "step-000000000010" && saved[0][1].name == "best")
        #expect(saved[0][0].modelSHA256 == digest)
      }
      let alone = try content("\(root)/1")
      #expect(
        alone.keys.sorted() == [
          "best/manifest.json", "best/model.safetensors", "best/state.json", "latest",
          "step-000000000010/manifest.json", "step-000000000010/model.safetensors",
          "step-000000000010/optimizer.safetensors", "step-000000000010/state.json",
        ])
      for ranks in 2...5 { #expect(try content("\(root)/\(ranks)") == alone) }
    }
  }

  /// What 3 ranks saved, P ranks read, each its own rows, and all hold the same model.
  @Test(arguments: 1...5) func anotherNumberOfRanksReadsItsOwnRows(ranks: Int) throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/checkpoints")
      _ = try LocalGroup.run(ranks: 3) { try store.saveToy(12, group: $0) }
      let rows = try LocalGroup.run(ranks: ranks) { group in
        var warnings = 0
        let found = try store.openNewest(group: group) { _ in warnings += 1 }
        guard let checkpoint = found, warnings == 0, try checkpoint.salt() == 12 else { return 0 }
        let range = ToyTensors(group, salt: 0).rows(ToyTensors.users)
        let factors = ToyTensors.factors
        try checkpoint.model.require("user.factors", shape: [ToyTensors.users, factors])
        var memory = [Float](repeating: -1, count: max(1, range.count * 9))
        unsafe try memory.withUnsafeMutableBufferPointer { memory in
          guard let base = memory.baseAddress else { return }
          unsafe try checkpoint.model.read("user.factors", rows: range, into: base, stride: 9)
        }
        for (place, row) in range.enumerated() {
          for column in 0..<9 {
            let expected =
              column < factors ? ToyTensors.value(0, row, column, salt: 12) : -1
            guard memory[place * 9 + column] == expected else { return 0 }
          }
        }
        return range.count
      }
      #expect(rows.reduce(0, +) == ToyTensors.users)
    }
  }

  /// However little is written in one round, and whichever rank needs most of them.
  @Test(arguments: [1, 4, 19, 20, 41, 100, 8 << 20]) func roundsLeaveNoTrace(size: Int) throws {
    try withDirectory { root in
      for ranks in [1, 4] {
        _ = try LocalGroup.run(ranks: ranks) { group in
          let tensors = ToyTensors(group, salt: 3)
          try withExtendedLifetime(tensors) {
            try TensorFile.write(
              "\(root)/\(ranks)", tensors.model, group: group, roundSize: size)
            if ranks == 1 { try TensorFile.write("\(root)/0", tensors.model, group: group) }
          }
        }
      }
      #expect(try Files.read(root + "/1") == Files.read(root + "/0"))
      #expect(try Files.read(root + "/4") == Files.read(root + "/0"))
    }
  }

  /// Rows may be on any rank, and not in the order of the ranks.
  @Test func rowsMayBeHeldInAnyOrder() throws {
    try withDirectory { root in
      _ = try LocalGroup.run(ranks: 3) { group in
        let held = [4..<6, 0..<0, 0..<4][group.rank]
        let values = held.map { Float($0) }
        unsafe try values.withUnsafeBufferPointer { values in
          unsafe try TensorFile.write(
            root + "/x",
            [TensorSlab(name: "t", shape: [6], rows: held, base: values.baseAddress)],
            group: group)
        }
      }
      #expect(
        try TensorFile.Reader(path: root + "/x").values("t") == [0, 1, 2, 3, 4, 5] as [Float])
    }
  }

  /// The checksum of a file of several blocks, computed here block by block in order.
  @Test func checksumsOfLongFilesDoNotDependOnTheRanks() throws {
    let block = 4 << 20
    let rows = 9 * block / 16 + 3
    try withDirectory { root in
      var manifests: [[UInt8]] = []
      for ranks in [1, 3] {
        let store = CheckpointStore(directory: "\(root)/\(ranks)")
        _ = try LocalGroup.run(ranks: ranks) { group in
          let held = group.rank * rows / ranks..<(group.rank + 1) * rows / ranks
          let values = held.map { UInt32($0) }
          unsafe try values.withUnsafeBufferPointer { values in
            _ = unsafe try store.save(
              step: 1, model: [],
              optimizer: [
                TensorSlab(name: "t", shape: [rows], rows: held, base: values.baseAddress)
              ],
              state: [], group: group)
          }
        }
        manifests.append(try Files.read("\(root)/\(ranks)/step-000000000001/manifest.json"))
      }
      #expect(manifests[0] == manifests[1])
      let bytes = try Files.read("\(root)/1/step-000000000001/optimizer.safetensors")
      var blocks: [UInt64] = []
      unsafe bytes.withUnsafeBytes { bytes in
        for start in stride(from: 0, to: bytes.count, by: block) {
          let end = min(start + block, bytes.count)
          unsafe blocks.append(XXHash64.hash(UnsafeRawBufferPointer(rebasing: bytes[start..<end])))
        }
      }
      #expect(blocks.count == 3)
      let expected = unsafe blocks.map(\.littleEndian).withUnsafeBytes { unsafe XXHash64.hash($0) }
      let manifest =
        try JSONSerialization.jsonObject(with: Data(manifests[0])) as? [String: Any] ?? [:]
      let files = manifest["files"] as? [String: [String: Any]] ?? [:]
      let record = try #require(files["optimizer.safetensors"])
      #expect(record["bytes"] as? Int == bytes.count)
      #expect((record["xxh64"] as? String).flatMap { UInt64($0, radix: 16) } == expected)
    }
  }
}
