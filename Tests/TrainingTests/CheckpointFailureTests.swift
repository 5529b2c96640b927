import Fabric
import Foundation
import Interactions
import Storage
import Synchronization
import TestSupport
import Testing
import Training

/// A disk that fails for a while costs checkpoints, not the run, and no bytes.
@Suite struct CheckpointFailureTests {
  /// A disk that can be broken and repaired.
  struct Disk: Sendable {
    var fail: @Sendable () throws -> Void
    var repair: @Sendable () throws -> Void
  }

  /// A file stands where the checkpoints were.
  private static func blocked(_ run: TrainingRun) -> Disk {
    let (place, aside) = (run.directory.checkpointsPath, "\(run.path)/aside")
    return Disk {
      if Files.exists(place) { try Files.rename(place, to: aside) }
      // A save that is on its way may make the directory again in between.
      while (try? Data([1]).write(to: URL(fileURLWithPath: place))) == nil {
        try? Files.remove(place)
      }
    } repair: {
      try Files.remove(place)
      if Files.exists(aside) { try Files.rename(aside, to: place) }
    }
  }

  private static func configuration(_ method: Method = .ig) -> TrainingConfiguration {
    .stoppable(method).with {
      $0.checkpointEvery = 1
      $0.keep = 99
      $0.epochs = 4
    }
  }

  /// Trains while the disk fails after some steps; `look` is called on rank 0 before every step.
  private func train(
    _ run: TrainingRun, _ disk: Disk, failing: Range<Int>, ranks: Int, stopAfter: Int? = nil,
    look: @escaping @Sendable (Int) throws -> Void = { _ in }
  ) throws -> [Failure?] {
    let problems = Mutex<[String]>([])
    let failures = try LocalGroup.run(ranks: ranks) { group in
      var step = 0
      return failure {
        _ = try run.train(on: group, stopAfter: stopAfter) {
          step += 1
          guard group.rank == 0 else { return }
          do {
            if step == failing.lowerBound { try disk.fail() }
            if step == failing.upperBound { try disk.repair() }
            try look(step)
          } catch {
            problems.withLock { $0.append("step \(step): \(error)") }
          }
        }
      }
    }
    #expect(problems.withLock { $0 } == [])
    return failures
  }

  /// Longer than an epoch: the best model of the epoch in between waits in memory and gets its place
  /// with the next checkpoint.
  @Test(arguments: [1, 2, 3]) func aRunGoesOnWithoutItsDisk(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let whole = TrainingRun(Self.configuration(), dataset, "\(directory.path)/run")
    let undisturbed = try whole.outcome(ranks: 2, as: "undisturbed")
    let steps = undisturbed.result.steps / 4
    var run = whole
    run.path = "\(directory.path)/failing"
    run.warnings = Warnings()
    let end = steps + 4
    let seen = Mutex<[UInt8]?>(nil)
    let checkpoints = run.directory.checkpointsPath
    let failures = try train(run, Self.blocked(run), failing: 3..<end, ranks: ranks) { step in
      // Some steps later a try has succeeded: after 8 + 16 steps at most.
      let best = "\(checkpoints)/best/model.safetensors"
      if step >= end, seen.withLock({ $0 == nil }), let model = try? Files.read(best) {
        seen.withLock { $0 = model }
      }
    }
    #expect(failures.allSatisfy { $0 == nil }, "\(failures)")
    let result = try #require(try run.directory.result())
    #expect(try Outcome(run, result: result, others: []).differences(from: undisturbed) == [])
    let lines = run.warnings?.lines ?? []
    #expect(lines.first?.hasPrefix("the checkpoint after step ") == true, "\(lines)")
    #expect(lines.first?.contains(" was not written: ") == true)
    #expect(lines.first?.contains("; training goes on, ") == true)
    #expect(lines.last?.hasPrefix("checkpoints are written again: step-") == true, "\(lines)")
    // After 8 steps and after 16 more: the pause grows.
    #expect(lines.filter { $0.contains("was not written") }.count <= 3, "\(lines)")
    // What was published is the model of an epoch that the state of the checkpoint knows of.
    let models = try (1...4).map { epoch in
      let name = String(format: "step-%012d", epoch * steps)
      return try Files.read("\(whole.path)-undisturbed/checkpoints/\(name)/model.safetensors")
    }
    let published = try #require(seen.withLock { $0 })
    #expect(models.contains(published))
  }

  @Test(arguments: [1, 3]) func aRequiredCheckpointEndsTheRun(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(Self.configuration(.bce), dataset, "\(directory.path)/run")
    run.configuration.checkpointRequired = true
    run.warnings = Warnings()
    let failures = try train(run, Self.blocked(run), failing: 3..<1000, ranks: ranks)
    #expect(failures.allSatisfy { $0?.kind == .inputOutput }, "\(failures)")
    #expect(run.warnings?.lines == [])
  }

  /// The last checkpoint is tried again at once, then an error; what was written before is as it
  /// was, and the run can be resumed to the same bytes.
  @Test(arguments: [1, 2]) func theLastCheckpointIsAnError(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let whole = TrainingRun(Self.configuration(), dataset, "\(directory.path)/run")
    let undisturbed = try whole.outcome(ranks: 2, as: "undisturbed")
    for stopAfter in [nil, 9] {
      var run = whole
      run.path = "\(directory.path)/failing-\(stopAfter ?? 0)"
      run.pauses = [0.01, 0.01]
      run.warnings = Warnings()
      let disk = Self.blocked(run)
      let failures = try train(
        run, disk, failing: 4..<1000, ranks: ranks, stopAfter: stopAfter)
      for failure in failures {
        #expect(failure?.kind == .inputOutput)
        #expect(failure?.message.hasPrefix("the checkpoint after step ") == true)
        #expect(failure?.message.contains(" was not written in 3 tries: ") == true, "\(failures)")
      }
      let tries = run.warnings?.lines.filter { $0.hasSuffix("; trying again in 0.01 s") }
      #expect(tries?.count == 2)
      try disk.repair()
      #expect(try run.finish(ranks: 2).differences(from: undisturbed) == [])
    }
  }

  /// Room that is made while a stopped run waits is used.
  @Test(arguments: [1, 2]) func aStoppedRunWaitsForRoom(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    var run = TrainingRun(Self.configuration(), dataset, "\(directory.path)/run")
    run.pauses = [0.05, 0.05, 0.05]
    let disk = Self.blocked(run)
    run.warnings = Warnings { line in
      if line.hasSuffix("; trying again in 0.05 s") { try? disk.repair() }
    }
    let failures = try train(run, disk, failing: 4..<1000, ranks: ranks, stopAfter: 9)
    #expect(failures.allSatisfy { $0?.kind == .interrupted }, "\(failures)")
    #expect(Files.exists("\(run.directory.checkpointsPath)/step-000000000009/manifest.json"))
  }

  // MARK: Real disks

  private static let mountRefusal: String? = {
    do {
      return try withTemporaryDirectory { path in
        let outcome = try runProcess("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path])
        guard outcome.status == 0 else { return outcome.standardError }
        _ = try runProcess("umount", [path])
        return nil
      }
    } catch {
      return "\(error)"
    }
  }()

  /// A small file system of its own.
  private func withDisk(_ body: (_ path: String) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/disk"
    try Files.createDirectory(path)
    let mount = try runProcess("mount", ["-t", "tmpfs", "-o", "size=512k", "tmpfs", path])
    #expect(mount.status == 0, "\(mount.standardError)")
    defer { _ = try? runProcess("umount", ["-l", path]) }
    try body(path)
  }

  /// Everything of the run is on the disk that fills up: checkpoints, records, events.
  @Test(
    .enabled(if: mountRefusal == nil, "mounting a file system is not permitted here"),
    arguments: [1, 3])
  func aDiskThatFillsUpAndIsFreed(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let whole = TrainingRun(
      Self.configuration().with { $0.keep = 2 }, dataset, "\(directory.path)/run")
    let undisturbed = try whole.outcome(ranks: 2, as: "undisturbed")
    try withDisk { disk in
      var run = whole
      run.path = "\(disk)/run"
      run.warnings = Warnings()
      let ballast = "\(disk)/ballast"
      let filling = Disk {
        guard let file = unsafe fopen(ballast, "w") else { return }
        let page = [UInt8](repeating: 7, count: 4096)
        unsafe setvbuf(file, nil, _IONBF, 0)
        while unsafe fwrite(page, 1, page.count, file) == page.count {}
        unsafe fclose(file)
      } repair: {
        try Files.remove(ballast)
      }
      let steps = undisturbed.result.steps / 4
      let failures = try train(run, filling, failing: 4..<2 * steps + 1, ranks: ranks)
      #expect(failures.allSatisfy { $0 == nil }, "\(failures)")
      let result = try #require(try run.directory.result())
      #expect(try Outcome(run, result: result, others: []).differences(from: undisturbed) == [])
      let lines = run.warnings?.lines ?? []
      #expect(lines.contains { $0.contains("No space left on device") }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("records of epoch ") }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("checkpoints are written again: ") }, "\(lines)")
    }
  }

  /// A disk that the system has made read-only, as it does after errors.
  @Test(.enabled(if: mountRefusal == nil, "mounting a file system is not permitted here"))
  func aDiskThatBecomesReadOnly() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let whole = TrainingRun(
      Self.configuration(.bce).with { $0.keep = 2 }, dataset, "\(directory.path)/run")
    let undisturbed = try whole.outcome(ranks: 2, as: "undisturbed")
    try withDisk { disk in
      var run = whole
      run.path = "\(disk)/run"
      run.warnings = Warnings()
      @Sendable func remount(_ mode: String) throws {
        let outcome = try runProcess("mount", ["-o", "remount,\(mode)", disk])
        #expect(outcome.status == 0, "\(outcome.standardError)")
      }
      // Two ranks write before they go on, so no file is open between steps.
      let failures = try train(
        run, Disk(fail: { try remount("ro") }, repair: { try remount("rw") }), failing: 3..<6,
        ranks: 2)
      #expect(failures.allSatisfy { $0 == nil }, "\(failures)")
      let result = try #require(try run.directory.result())
      #expect(try Outcome(run, result: result, others: []).differences(from: undisturbed) == [])
      #expect(
        run.warnings?.lines.contains { $0.contains("Read-only file system") } == true,
        "\(run.warnings?.lines ?? [])")
    }
  }
}

extension TrainingConfiguration {
  fileprivate func with(_ change: (inout Self) -> Void) -> Self {
    var changed = self
    change(&changed)
    return changed
  }
}
