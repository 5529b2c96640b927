import Storage

/// The second and third pass: counts rows per id, assigns ids to shards, and sorts the rows by
/// shard, in file order and with dense ids.
struct Distribution {
  let users: ShardAssignment
  let items: ShardAssignment
  /// Labeled training rows that thinning took the label from.
  private(set) var thinned = 0
  /// Rows of shard `s` are `starts[s] ..< starts[s + 1]`.
  let starts: [Int]
  private let sorted: ScratchBuffer<LogRow>
  /// The times of the sorted rows; `nil` when nothing asks for them.
  private let sortedTimes: ScratchBuffer<UInt64>?

  /// Sorts the rows of an ingestion.
  ///
  /// - Parameters:
  ///   - ingestion: The ids and counts.
  ///   - path: The rows that it left in its spool.
  ///   - timePath: Their times, if there are any.
  ///   - directory: Where scratch space is reserved.
  ///   - options: The number of shards, and the thinning.
  /// - Throws: `Failure` of kind `inputOutput`.
  init(
    _ ingestion: Ingestion, spool path: String, times timePath: String,
    scratch directory: String, _ options: PreparationOptions
  ) throws(Failure) {
    let spool = try MappedFile(reading: path)
    let rows = unsafe spool.readOnly.bindMemory(to: LogRow.self)
    let labeled = ingestion.labeled[0]
    let latest = ingestion.latest

    var userWeights = [Int](repeating: 0, count: ingestion.users.count)
    var itemWeights = [Int](repeating: 0, count: ingestion.items.count)
    var userRows = userWeights
    var thin = Thinning(count: labeled, options)
    for index in 0..<rows.count {
      var row = unsafe rows[index]
      if let latest { row.split = latest.split(ofRow: index, user: Int(row.user)) }
      userRows[Int(row.user)] += 1
      guard thin(row).isTraining else { continue }
      userWeights[Int(row.user)] += 1
      itemWeights[Int(row.item)] += 1
    }
    users = ShardAssignment(weights: userWeights, shards: options.shards)
    items = ShardAssignment(weights: itemWeights, shards: options.shards)

    var starts = [0]
    var shardOf = [UInt16](repeating: 0, count: users.dense.count)
    for shard in 0..<options.shards {
      var count = 0
      for user in users.starts[shard]..<users.starts[shard + 1] {
        shardOf[user] = UInt16(shard)
        count += userRows[Int(users.appearance[user])]
      }
      starts.append(starts[shard] + count)
    }

    sorted = try ScratchBuffer<LogRow>(count: rows.count, in: directory)
    let spooledTimes = options.needsTimes ? try MappedFile(reading: timePath) : nil
    let times = unsafe spooledTimes?.readOnly.bindMemory(to: UInt64.self)
    sortedTimes =
      options.needsTimes ? try ScratchBuffer<UInt64>(count: rows.count, in: directory) : nil
    var next = starts
    thin = Thinning(count: labeled, options)
    for index in 0..<rows.count {
      var original = unsafe rows[index]
      if let latest { original.split = latest.split(ofRow: index, user: Int(original.user)) }
      var row = thin(original)
      if row.label != original.label { thinned += 1 }
      row.user = users.dense[Int(row.user)]
      row.item = items.dense[Int(row.item)]
      let shard = Int(shardOf[Int(row.user)])
      unsafe sorted.elements[next[shard]] = row
      if let times = unsafe times { unsafe sortedTimes?.elements[next[shard]] = times[index] }
      next[shard] += 1
    }
    self.starts = starts
  }

  /// The rows of a shard; valid as long as this value lives.
  func rows(ofShard shard: Int) -> UnsafeMutableBufferPointer<LogRow> {
    unsafe UnsafeMutableBufferPointer(rebasing: sorted.elements[starts[shard]..<starts[shard + 1]])
  }

  /// The times of the rows of a shard, see ``TimeKey``; valid as long as this value lives.
  func times(ofShard shard: Int) -> UnsafeMutableBufferPointer<UInt64>? {
    guard let sortedTimes else { return nil }
    return unsafe UnsafeMutableBufferPointer(
      rebasing: sortedTimes.elements[starts[shard]..<starts[shard + 1]])
  }
}
