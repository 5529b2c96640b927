import Interactions
import Storage
import Testing

@Suite struct EpochOrderTests {
  /// In every epoch the steps visit every row once, in parts that differ by at most one.
  @Test(arguments: [0, 1, 2, 7, 100, 1001], [1, 2, 3, 7, 64, 1500])
  func stepsVisitEveryRowOnce(count: Int, steps: Int) {
    for epoch in 0..<2 {
      let order = EpochOrder(count: count, shard: 3, epoch: epoch, seed: 9)
      var rows: [Int] = []
      for step in 0..<steps {
        let positions = order.positions(step: step, of: steps)
        #expect(positions == step * count / steps..<(step + 1) * count / steps)
        let part = unsafe [Int](unsafeUninitializedCapacity: positions.count) { buffer, count in
          guard let base = buffer.baseAddress else { return }
          unsafe order.fill(base, positions: positions)
          count = positions.count
        }
        #expect(part == positions.map { order[$0] })
        rows += part
      }
      #expect(rows.sorted() == Array(0..<count))
    }
  }

  /// Forwards, backwards and staying where it is.
  @Test func aWalkFollowsTheOrderOfAnyEpoch() {
    let walk = EpochWalk(count: 300, shard: 2, seed: 9)
    for epoch in [0, 1, 1, 5, 0] {
      walk.go(to: epoch)
      let order = EpochOrder(count: 300, shard: 2, epoch: epoch, seed: 9)
      let part = unsafe [Int](unsafeUninitializedCapacity: 77) { buffer, count in
        if let base = buffer.baseAddress { unsafe walk.fill(base, positions: 60..<137) }
        count = 77
      }
      #expect(part == (60..<137).map { order[$0] })
    }
  }

  @Test func stepsOfHugeEpochsDoNotOverflow() {
    let order = EpochOrder(count: 1 << 40, shard: 0, epoch: 0, seed: 1)
    let steps = 1 << 38
    #expect(order.positions(step: steps - 1, of: steps) == (1 << 40) - 4..<1 << 40)
  }

  @Test func shardsEpochsAndSeedsDiffer() {
    func rows(_ shard: Int, _ epoch: Int, _ seed: UInt64) -> [Int] {
      let order = EpochOrder(count: 50, shard: shard, epoch: epoch, seed: seed)
      return (0..<50).map { order[$0] }
    }
    #expect(rows(1, 1, 1) == rows(1, 1, 1))
    #expect(Set([rows(1, 1, 1), rows(2, 1, 1), rows(1, 2, 1), rows(1, 1, 2)]).count == 4)
  }
}

@Suite struct UnlabeledSamplerTests {
  /// User `u` met the first of 40 items: `few` 3, `half` 20, `most` 37, `all` 40.
  func dataset(in directory: TemporaryDirectory, shards: Int = 1) throws -> Dataset {
    var log = ToyLog()
    log.train = []
    for (user, count) in [("few", 3), ("half", 20), ("most", 37), ("all", 40)] {
      for step in 0..<count {
        // Every other one is an exposure, which counts as met just the same.
        let item = count == 40 ? step : step * 7 % 40
        log.train.append(Row(user, "i\(item)", step % 2 == 0 ? 4 : nil))
      }
    }
    log.valid = [Row("few", "i39", 5)]
    log.test = [Row("few", "i38", 5)]
    return try log.prepare(in: directory, shards: shards).dataset
  }

  func draws(
    _ shard: Shard, of user: Int, source: UnlabeledSampler.Source = .unmet, epochs: Int,
    perRow: Int = 1
  ) -> [UInt32] {
    let sampler = UnlabeledSampler(shard: shard, source: source, seed: 4)
    let rows = (0..<shard.train.count).filter { unsafe Int(shard.train.users[$0]) == user }
    let users = [UInt32](repeating: UInt32(user), count: rows.count)
    var result: [UInt32] = []
    var items = [UInt32](repeating: 0, count: rows.count * perRow)
    for epoch in 0..<epochs {
      unsafe rows.withUnsafeBufferPointer { rows in
        unsafe users.withUnsafeBufferPointer { users in
          unsafe items.withUnsafeMutableBufferPointer { items in
            guard let base = items.baseAddress else { return }
            unsafe sampler.sample(
              into: base, rows: rows, users: users, epoch: epoch, perRow: perRow)
          }
        }
      }
      result += items
    }
    return result
  }

  /// Draws fall outside what the user met, uniformly: with k classes the χ² statistic has mean
  /// k − 1 and variance 2(k − 1); the bound is eight standard deviations above the mean, where
  /// the right tail of χ² with 2 degrees of freedom, the heaviest here, is below e⁻⁹.
  @Test(arguments: ["few", "half", "most"])
  func unmetItemsAreUniform(name: String) throws {
    let directory = try TemporaryDirectory()
    let dataset = try dataset(in: directory)
    let shard = try dataset.shard(0)
    let user = try #require(try dataset.userIdentifiers().index(of: name))
    let met = unsafe Set(shard.met[shard.local(UInt32(user))])
    let drawn = draws(shard, of: user, epochs: 4_000, perRow: 3)
    let counts = Dictionary(grouping: drawn, by: { $0 }).mapValues { Double($0.count) }
    #expect(counts.keys.allSatisfy { $0 < 40 && !met.contains($0) })
    let classes = 40 - met.count
    #expect(counts.count == classes)
    let mean = Double(drawn.count) / Double(classes)
    let statistic = counts.values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) / mean }
    let freedom = Double(classes - 1)
    #expect(statistic < freedom + 8 * (2 * freedom).squareRoot())
  }

  @Test func whoMetEverythingHasNoUnlabeledItem() throws {
    let directory = try TemporaryDirectory()
    let dataset = try dataset(in: directory)
    let shard = try dataset.shard(0)
    let user = try #require(try dataset.userIdentifiers().index(of: "all"))
    let drawn = draws(shard, of: user, epochs: 3, perRow: 2)
    #expect(drawn.count == 20 * 3 * 2)
    #expect(drawn.allSatisfy { $0 == UnlabeledSampler.none })
    #expect(!UnlabeledSampler(shard: shard, seed: 4).canAlwaysSupply)
  }

  /// With one unmet item each, the exact draw is the only one that ends, and it must find it.
  @Test func theExactDrawFindsEveryGap() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    log.train = []
    for user in 0..<12 {
      for item in 0..<12 where item != user { log.train.append(Row("u\(user)", "i\(item)", 4)) }
    }
    log.valid = [Row("u0", "i0", 5)]
    log.test = [Row("u1", "i1", 5)]
    let dataset = try log.prepare(in: directory, shards: 1).dataset
    let shard = try dataset.shard(0)
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    for user in 0..<12 {
      let index = try #require(users.index(of: "u\(user)"))
      let gap = try #require(items.index(of: "i\(user)"))
      #expect(Set(draws(shard, of: index, epochs: 2)) == [UInt32(gap)])
    }
    #expect(UnlabeledSampler(shard: shard, seed: 4).canAlwaysSupply)
  }

  /// Exposures are drawn as often as they were shown; the bound as above.
  @Test func exposuresAreUniform() throws {
    let directory = try TemporaryDirectory()
    var log = ToyLog()
    log.train = [
      Row("u", "a", 5), Row("u", "b", nil), Row("u", "c", nil), Row("u", "c", nil),
      Row("w", "a", 5),
    ]
    log.valid = [Row("u", "d", 5)]
    log.test = [Row("u", "e", 5)]
    let dataset = try log.prepare(in: directory, shards: 1).dataset
    let shard = try dataset.shard(0)
    let (users, items) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let drawn = draws(
      shard, of: try #require(users.index(of: "u")), source: .exposures, epochs: 3_000, perRow: 4)
    let twice = UInt32(try #require(items.index(of: "c")))
    let once = UInt32(try #require(items.index(of: "b")))
    #expect(Set(drawn) == [once, twice])
    // 12,000 draws with probability 2/3: standard deviation 52; six of them.
    #expect(abs(drawn.count { $0 == twice } - 8_000) < 310)
    let none = draws(
      shard, of: try #require(users.index(of: "w")), source: .exposures, epochs: 2)
    #expect(none.allSatisfy { $0 == UnlabeledSampler.none })
    #expect(!UnlabeledSampler(shard: shard, source: .exposures, seed: 4).canAlwaysSupply)
  }

  /// A draw depends on the row, the epoch and its number, not on its place in the batch.
  @Test func drawsDoNotDependOnTheBatch() throws {
    let directory = try TemporaryDirectory()
    let dataset = try ToyLog().prepare(in: directory, shards: 2).dataset
    let shard = try dataset.shard(1)
    let sampler = UnlabeledSampler(shard: shard, seed: 8)
    func sample(_ rows: [Int], perRow: Int) -> [UInt32] {
      let users = rows.map { unsafe shard.train.users[$0] }
      var items = [UInt32](repeating: 0, count: rows.count * perRow)
      unsafe rows.withUnsafeBufferPointer { rows in
        unsafe users.withUnsafeBufferPointer { users in
          unsafe items.withUnsafeMutableBufferPointer { items in
            guard let base = items.baseAddress else { return }
            unsafe sampler.sample(into: base, rows: rows, users: users, epoch: 6, perRow: perRow)
          }
        }
      }
      return items
    }
    let rows = Array(0..<shard.train.count)
    let forward = sample(rows, perRow: 1)
    #expect(forward.count > 20)
    #expect(sample(rows.reversed(), perRow: 1) == forward.reversed())
    let triples = sample(rows, perRow: 3)
    #expect(rows.map { triples[3 * $0] } == forward)
    #expect(rows.map { triples[3 * $0 + 1] } != forward)
    #expect(shard.firstTrainRow == (try dataset.shard(0).train.count))
  }
}
