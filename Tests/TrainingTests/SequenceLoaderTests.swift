import Backbones
import Fabric
import Interactions
import Kernels
import Storage
import Testing
import Training

/// Steps of whole users.
@Suite struct SequenceLoaderTests {
  private static let length = 4

  private static func configuration(_ method: Training.Method = .negatives)
    -> TrainingConfiguration
  {
    var configuration = TrainingConfiguration.small(.sasrec, method)
    configuration.batch = 5
    configuration.unlabeledPerLabeled = 2
    return configuration
  }

  /// What a step gave of one shard, in plain values.
  private struct ShardRows: Equatable {
    var labeled: [[UInt32]] = []
    var unlabeled: [[UInt32]] = []
    /// The items before each row, labeled rows first.
    var contexts: [[UInt32]] = []
  }

  /// All steps of an epoch on some ranks: for each step its shards, and its labeled rows.
  private static func epoch(
    _ dataset: Dataset, ranks: Int, epoch: Int
  ) throws -> [(shards: [ShardRows], labeled: Int)] {
    let parts = try LocalGroup.run(ranks: ranks) { group in
      let configuration = configuration()
      let context = JobContext(
        group: group, tree: ShardTree(shardCount: dataset.shardCount, rankCount: ranks),
        configuration: configuration)
      let loader = try SequenceLoader(
        configuration, length: length, dataset: dataset, context: context)
      let batch = StepBatch(
        capacity: loader.capacity(.joint), sequences: loader.sequences, tree: context.tree,
        rank: group.rank)
      try loader.begin(epoch: epoch)
      return try (0..<loader.stepCount).map { step in
        loader.load(
          batch, at: StepPosition(epoch: epoch, step: step, number: step), rows: .joint)
        let unlabeled = try loader.totalUnlabeled(of: batch, in: step)
        #expect(unlabeled == 2 * loader.labeledRows(in: step))
        let first = UInt32(dataset.userStarts[context.tree.shards(of: group.rank).lowerBound])
        return (read(batch, firstUser: first), loader.labeledRows(in: step))
      }
    }
    return parts[0].indices.map { step in
      (parts.flatMap { $0[step].0 }, parts[0][step].1)
    }
  }

  private static func read(_ batch: StepBatch, firstUser: UInt32) -> [ShardRows] {
    guard let sequences = batch.rows.sequences else { return [] }
    return batch.labeledCounts.indices.map { shard in
      var rows = ShardRows()
      for row in batch.start(of: shard)..<batch.end(of: shard) {
        let pair = unsafe [
          firstUser + batch.users.pointer[row], batch.items.pointer[row],
          UInt32(batch.labels.pointer[row]),
        ]
        if row < batch.start(of: shard) + batch.labeledCounts[shard] {
          rows.labeled.append(pair)
        } else {
          rows.unlabeled.append(pair)
        }
        let end = unsafe Int(sequences.rowPlaces[row])
        let sequence = sequences.sequences(of: shard).first {
          sequences.places(of: $0).contains(end - 1)
        }
        guard let sequence else { continue }
        let start = sequences.places(of: sequence).lowerBound
        rows.contexts.append((start..<end).map { unsafe sequences.items[$0] })
        #expect(unsafe sequences.users[sequence] == pair[0])
      }
      return rows
    }
  }

  @Test(arguments: [0, 3]) func anEpochHasTheLastRowsOfEveryUser(epoch: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, sequences: true)
    let steps = try Self.epoch(dataset, ranks: 1, epoch: epoch)
    for (number, shard) in try (0..<8).map({ try dataset.shard($0) }).enumerated() {
      let found = steps.flatMap { $0.shards[number].labeled }
      let train = shard.train
      var expected: [[UInt32]] = []
      for user in shard.users {
        let rows = (0..<train.count).filter { unsafe Int(train.users[$0]) == user }
        let end = rows.map { unsafe shard.context(ofTrainRow: $0).count }.max() ?? 0
        let start = max(0, end - Self.length)
        for row in rows where unsafe shard.context(ofTrainRow: row).count > start {
          expected.append(
            unsafe [train.users[row], train.items[row], UInt32(train.labels[row])])
        }
      }
      #expect(found.count == expected.count && Set(found) == Set(expected))
    }
    #expect(steps.allSatisfy { $0.labeled == $0.shards.reduce(0) { $0 + $1.labeled.count } })
  }

  @Test func aRowReadsWhatItsUserLikedBeforeIt() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, sequences: true)
    let steps = try Self.epoch(dataset, ranks: 1, epoch: 1)
    for (number, shard) in try (0..<8).map({ try dataset.shard($0) }).enumerated() {
      for rows in steps.map({ $0.shards[number] }) {
        #expect(rows.contexts.count == rows.labeled.count + rows.unlabeled.count)
        for (row, context) in zip(rows.labeled, rows.contexts) {
          let all = (0..<shard.train.count).filter {
            unsafe shard.train.users[$0] == row[0] && shard.train.items[$0] == row[1]
          }.map { unsafe Array(shard.context(ofTrainRow: $0)) }
          #expect(all.contains { $0.suffix(context.count) == context[...] })
          #expect(!context.isEmpty && context.count <= Self.length)
        }
        // Two unlabeled rows share the context of the labeled row they were drawn for.
        for (place, row) in rows.unlabeled.enumerated() {
          #expect(rows.contexts[rows.labeled.count + place] == rows.contexts[place / 2])
          #expect(row[0] == rows.labeled[place / 2][0] && row[2] == 0)
        }
      }
    }
  }

  @Test(arguments: [2, 4]) func rowsDoNotDependOnRanks(ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory, sequences: true)
    let alone = try Self.epoch(dataset, ranks: 1, epoch: 2)
    let others = try Self.epoch(dataset, ranks: ranks, epoch: 2)
    #expect(alone.map(\.shards) == others.map(\.shards))
    #expect(alone.map(\.labeled) == others.map(\.labeled))
    #expect(try alone.map(\.shards) != Self.epoch(dataset, ranks: 1, epoch: 3).map(\.shards))
  }

  @Test func aDatasetWithoutAnOrderIsRefused() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog.uneven().prepare(in: directory)
    let refusal = failure {
      _ = try TrainingRun(.small(.sasrec, .bce), dataset, "\(directory.path)/run").train(ranks: 1)
    }
    #expect(refusal?.kind == .data && refusal?.message.contains("--sequences") == true)
  }
}
