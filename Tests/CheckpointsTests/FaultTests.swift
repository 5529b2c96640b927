import Checkpoints
import Fabric
import Foundation
import Storage
import Synchronization
import Testing

/// One rank fails: all throw together, nothing is lost, and the job can go on.
@Suite struct FaultTests {
  /// What the store must look like after a save that failed.
  private func expectUntouched(_ store: CheckpointStore, _ what: String) throws {
    #expect(
      try Files.names(in: store.directory) == ["best", "latest", "step-000000000010"], "\(what)")
    let latest = String(decoding: try Files.read(store.directory + "/latest"), as: UTF8.self)
    #expect(latest == "step-000000000010\n", "\(what)")
    #expect(try store.newest().checkpoint?.salt() == 10, "\(what)")
    #expect(try store.best()?.salt() == 10, "\(what)")
  }

  /// The failing rank keeps its own message; the others learn whose it is.
  private func expectTogether(
    _ failures: [Failure?], from culprit: Int, _ kind: Failure.Kind, _ reason: String
  ) throws {
    let own = try #require(failures[culprit])
    #expect(own.kind == kind && own.message.contains(reason), "\(own)")
    for (rank, failure) in failures.enumerated() where rank != culprit {
      #expect(failure == Failure(kind, "rank \(culprit) failed: \(own.message)"))
    }
  }

  private func withStore(_ body: (CheckpointStore) throws -> Void) throws {
    try withDirectory { root in
      let store = CheckpointStore(directory: root + "/store")
      try store.saveToy(10)
      try store.saveToyBest(10)
      try body(store)
    }
  }

  @Test(arguments: 0..<3) func aFullDiskOnOneRankFailsAllRanks(culprit: Int) throws {
    try withStore { store in
      var calls = 0
      var failed = true
      while failed {
        let allowed = calls
        let failures = try onRanks(3) { group in
          let faulty = FaultyGroup(
            group, callsBeforeFailure: group.rank == culprit ? allowed : .max)
          do {
            try store.saveToy(20, group: faulty)
          } catch {
            // The group can be used on: the next save of the same ranks succeeds elsewhere.
            let other = CheckpointStore(directory: "\(store.directory)-\(allowed)")
            try other.saveToy(20, group: group)
            throw error
          }
        }
        failed = failures[culprit] != nil
        guard failed else { break }
        try expectTogether(failures, from: culprit, .inputOutput, "No space left on device")
        try expectUntouched(store, "call \(allowed) of rank \(culprit)")
        let other = CheckpointStore(directory: "\(store.directory)-\(allowed)")
        #expect(try other.newest().checkpoint?.salt() == 20)
        calls += 1
      }
      // Two files are opened and closed; each has a header and at least one round per tensor.
      #expect(calls >= 2 * 2 + 3 + 3)
      #expect(try store.newest().checkpoint?.salt() == 20)
    }
  }

  @Test(arguments: SaveStage.allCases) func anErrorAtAnyStageFailsAllRanks(stage: SaveStage) throws
  {
    try withStore { original in
      var store = original
      store.onStage = { reached in
        if reached == stage { throw Failure(.inputOutput, "stopped at \(reached)") }
      }
      let failing = store
      // The same step again reaches every stage.
      let failures = try onRanks(3) { try failing.saveToy(10, salt: 10, group: $0) }
      try expectTogether(failures, from: 0, .inputOutput, "stopped at \(stage)")
      if stage != .renamed {
        try expectUntouched(original, "\(stage)")
      }
      #expect(try original.newest().checkpoint?.salt() == 10)
      try original.saveToy(20)
      #expect(
        try Files.names(in: original.directory) == [
          "best", "latest", "step-000000000010", "step-000000000020",
        ])
    }
  }

  /// A checkpoint that publishes a best model fails at each of its stages: neither the best model
  /// is ahead of the checkpoints (but between two renames), nor is the staged one lost.
  @Test(arguments: [1, 3]) func aBestModelIsPublishedWithItsCheckpointOrLater(ranks: Int) throws {
    let count = 2 * SaveStage.allCases.count - 2
    for stop in 0..<count {
      try withStore { original in
        var store = original
        let reached = Mutex(0)
        store.onStage = { stage in
          let place = reached.withLock { count in
            defer { count += 1 }
            return count
          }
          if place == stop { throw Failure(.inputOutput, "stopped at \(place), \(stage)") }
        }
        let failing = store
        let failures = try onRanks(ranks) { group in
          let staged = try original.stageToyBest(20, group: group)
          var first: Failure?
          do {
            try failing.saveToy(20, publishing: staged, group: group)
          } catch let failure as Failure {
            first = failure
          }
          let newest = group.rank == 0 ? try original.newest().checkpoint?.step : 20
          let best = group.rank == 0 ? try original.best()?.step : 20
          if newest == 10, best == 20, let first, !first.message.contains("renamed"),
            !first.message.contains("oldRemoved")
          {
            throw Failure(.software, "the best model ran ahead: \(first)")
          }
          if newest == 20, best != 20 { throw Failure(.software, "the best model is behind") }
          try group.barrier()
          try original.saveToy(20, publishing: staged, group: group)
        }
        #expect(failures.allSatisfy { $0 == nil }, "\(stop): \(failures)")
        #expect(try original.newest().checkpoint?.salt() == 20)
        #expect(try original.best()?.salt() == 20)
        #expect(
          try Files.names(in: original.directory) == [
            "best", "latest", "step-000000000010", "step-000000000020",
          ])
      }
    }
  }

  @Test func aPlaceThatCannotBeWrittenFailsAllRanks() throws {
    try withDirectory { root in
      try Files.replace(root + "/file", with: [1])
      for directory in [root + "/file", root + "/file/checkpoints", "/proc/none/checkpoints"] {
        let store = CheckpointStore(directory: directory)
        let failures = try onRanks(3) { try store.saveToy(10, group: $0) }
        try expectTogether(failures, from: 0, .inputOutput, "cannot create ")
      }
      let store = CheckpointStore(directory: root + "/file")
      let failures = try onRanks(2) { _ = try store.openNewest(group: $0) { _ in } }
      try expectTogether(failures, from: 0, .inputOutput, "cannot read \(root)/file")
    }
  }

  @Test func ranksThatDoNotFitTogetherAreRefused() throws {
    let shapes: [(String, [Range<Int>], [String], String)] = [
      ("names", [0..<2, 2..<4], ["a", "b"], "the ranks do not agree on the tensors"),
      ("gap", [0..<1, 2..<4], ["a", "a"], "tensor a: rows 1..<2 are held by no rank or by two"),
      ("end", [0..<2, 2..<3], ["a", "a"], "tensor a: no rank holds the rows from 3 on"),
      ("none", [0..<0, 0..<0], ["a", "a"], "tensor a: no rank holds the rows from 0 on"),
      ("start", [1..<4, 0..<0], ["a", "a"], "tensor a: rows 0..<1 are held by no rank or by two"),
      ("reserved", [0..<2, 2..<4], ["__metadata__", "__metadata__"], "cannot be the name"),
      ("empty", [0..<2, 2..<4], ["", ""], "cannot be the name"),
    ]
    try withDirectory { root in
      for (what, rows, names, reason) in shapes {
        let failures = try onRanks(2) { group in
          let values: [Float] = [0, 1, 2, 3]
          unsafe try values.withUnsafeBufferPointer { values in
            let slab = unsafe TensorSlab(
              name: names[group.rank], shape: [4], rows: rows[group.rank],
              base: values.baseAddress)
            try TensorFile.write("\(root)/\(what)", [slab], group: group)
          }
        }
        for failure in failures {
          #expect(failure?.kind == .software)
          #expect(
            failure?.message.contains(reason) == true, "\(what): \(String(describing: failure))")
        }
        #expect(!Files.exists("\(root)/\(what)"))
      }
    }
  }

  @Test func rowsHeldTwiceAndNamesUsedTwiceAreRefused() throws {
    let failures = try onRanks(2) { group in
      let values: [Float] = [0, 1, 2]
      unsafe try values.withUnsafeBufferPointer { values in
        let slab = unsafe TensorSlab(
          name: "a", shape: [4], rows: group.rank..<group.rank + 3, base: values.baseAddress)
        try TensorFile.write("/proc/none/x", [slab], group: group)
      }
    }
    #expect(failures.allSatisfy { $0?.message.contains("by no rank or by two") == true })
    let twice = try onRanks(1) { group in
      let none: UnsafePointer<Float>? = nil
      let slab = unsafe TensorSlab(name: "a", shape: [0], rows: 0..<0, base: none)
      try TensorFile.write("/proc/none/x", [slab, slab], group: group)
    }
    #expect(twice[0] == .software("two tensors are named a"))
  }
}
