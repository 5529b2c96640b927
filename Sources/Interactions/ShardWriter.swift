import Storage

/// Turns the rows of one shard into its columns, and looks for what must not be in a dataset.
///
/// Safe to use as long as the `Distribution` that sorted the rows lives.
@safe
struct ShardWriter {
  /// The rows of the shard: those of train in file order, and likewise valid and test.
  let rows: UnsafeMutableBufferPointer<LogRow>
  /// The users of the shard.
  let users: Range<Int>
  /// The folder of the shard's columns.
  let directory: String
  /// A folder for scratch files.
  let scratch: String
  /// Whether exposures of held-out pairs must be looked for.
  let isSplitHere: Bool
  private(set) var manifest = ShardManifest()
  private let held: UserGroups

  /// Prepares one shard.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  init(
    rows: UnsafeMutableBufferPointer<LogRow>, users: Range<Int>, directory: String,
    scratch: String, isSplitHere: Bool
  ) throws(Failure) {
    unsafe self.rows = unsafe rows
    self.users = users
    self.directory = directory
    self.scratch = scratch
    self.isSplitHere = isSplitHere
    held = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, _ in
      row.split == .train ? nil : UInt64(row.item) << 1 | (row.split == .valid ? 0 : 1)
    }
    for user in 0..<users.count {
      var group = unsafe held.group(user)
      unsafe group.sort()
    }
  }

  /// Writes all columns.
  ///
  /// - Parameter census: Takes in what the rows say of users, items and pairs.
  /// - Throws: `Failure`: data for a pair that is in two splits, or `inputOutput`.
  mutating func write(_ census: inout Census) throws(Failure) {
    if isSplitHere { withholdExposures(&census) }
    try writeTrain(&census)
    try writeExposures(&census)
    let met = try writeMet(&census)
    manifest.validRows = try writeHeldOut(
      .valid, (.validUsers, .validItems, .validLabels), met, &census)
    manifest.testRows = try writeHeldOut(.test, (.testUsers, .testItems, .testLabels), met, &census)
  }

  private func isHeldOut(_ row: LogRow, _ splits: [Split]) -> Bool {
    let group = unsafe held.group(Int(row.user) - users.lowerBound)
    return splits.contains {
      unsafe isSorted(group, containing: UInt64(row.item) << 1 | ($0 == .valid ? 0 : 1))
    }
  }

  private func withholdExposures(_ census: inout Census) {
    for index in unsafe rows.indices where unsafe rows[index].mayBeHeldOut {
      guard unsafe isHeldOut(rows[index], [.valid, .test]) else { continue }
      unsafe rows[index].label = .discarded
      census.report.withheldExposures += 1
    }
  }

  private mutating func writeTrain(_ census: inout Census) throws(Failure) {
    let userColumn = try ColumnWriter<UInt32>(path: path(.trainUsers))
    let itemColumn = try ColumnWriter<UInt32>(path: path(.trainItems))
    let labelColumn = try ColumnWriter<UInt8>(path: path(.trainLabels))
    for index in unsafe 0..<rows.count {
      let row = unsafe rows[index]
      guard row.isTraining else { continue }
      census.note(row)
      guard row.isLabeled else { continue }
      try userColumn.append(row.user)
      try itemColumn.append(row.item)
      try labelColumn.append(row.label.rawValue)
      manifest.trainRows += 1
    }
    manifest.columns[Column.trainUsers.rawValue] = try userColumn.close()
    manifest.columns[Column.trainItems.rawValue] = try itemColumn.close()
    manifest.columns[Column.trainLabels.rawValue] = try labelColumn.close()
  }

  private mutating func writeExposures(_ census: inout Census) throws(Failure) {
    let exposures = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, _ in
      row.isTraining && !row.isLabeled ? UInt64(row.item) : nil
    }
    let offsetColumn = try ColumnWriter<UInt64>(path: path(.exposureOffsets))
    let itemColumn = try ColumnWriter<UInt32>(path: path(.exposureItems))
    for offset in exposures.offsets { try offsetColumn.append(UInt64(offset)) }
    for user in 0..<users.count {
      let shown = unsafe exposures.group(user)
      for index in 0..<shown.count { try itemColumn.append(UInt32(unsafe shown[index])) }
    }
    manifest.exposureRows = exposures.offsets[users.count]
    manifest.columns[Column.exposureOffsets.rawValue] = try offsetColumn.close()
    manifest.columns[Column.exposureItems.rawValue] = try itemColumn.close()
  }

  /// Writes the items each user met in training, sorted and without repetition, and returns the
  /// sorted groups of item << 2 | label, with repetition.
  private mutating func writeMet(_ census: inout Census) throws(Failure) -> UserGroups {
    let met = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, _ in
      row.isTraining ? UInt64(row.item) << 2 | UInt64(row.label.rawValue) : nil
    }
    let offsetColumn = try ColumnWriter<UInt64>(path: path(.metOffsets))
    let itemColumn = try ColumnWriter<UInt32>(path: path(.metItems))
    try offsetColumn.append(0)
    for user in 0..<users.count {
      var group = unsafe met.group(user)
      unsafe group.sort()
      var start = 0
      while start < group.count {
        var end = start + 1
        while end < group.count, unsafe group[end] >> 2 == group[start] >> 2 { end += 1 }
        unsafe try itemColumn.append(UInt32(group[start] >> 2))
        manifest.metPairs += 1
        if end - start > 1 {
          // Sorted by label: a negative one would come first.
          let isConflict =
            unsafe group[start] & 3 == 0 && group[start..<end].contains { $0 & 3 == 1 }
          census.noteRepetition(isConflict: isConflict)
        }
        start = end
      }
      try offsetColumn.append(UInt64(manifest.metPairs))
    }
    manifest.columns[Column.metOffsets.rawValue] = try offsetColumn.close()
    manifest.columns[Column.metItems.rawValue] = try itemColumn.close()
    return met
  }

  private mutating func writeHeldOut(
    _ split: Split, _ columns: (users: Column, items: Column, labels: Column), _ met: UserGroups,
    _ census: inout Census
  ) throws(Failure) -> Int {
    let order = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, index in
      row.split == split ? UInt64(index) : nil
    }
    let userColumn = try ColumnWriter<UInt32>(path: path(columns.users))
    let itemColumn = try ColumnWriter<UInt32>(path: path(columns.items))
    let labelColumn = try ColumnWriter<UInt8>(path: path(columns.labels))
    for user in 0..<users.count {
      let group = unsafe order.group(user)
      for position in 0..<group.count {
        let index = unsafe group[position]
        let row = unsafe rows[Int(index)]
        if unsafe isMet(row, met.group(user)) { throw census.leak(row, alsoIn: .train) }
        if split == .test, isHeldOut(row, [.valid]) { throw census.leak(row, alsoIn: .valid) }
        census.note(row)
        try userColumn.append(row.user)
        try itemColumn.append(row.item)
        try labelColumn.append(row.label.rawValue)
      }
    }
    manifest.columns[columns.users.rawValue] = try userColumn.close()
    manifest.columns[columns.items.rawValue] = try itemColumn.close()
    manifest.columns[columns.labels.rawValue] = try labelColumn.close()
    return order.offsets[users.count]
  }

  private func isMet(_ row: LogRow, _ met: UnsafeMutableBufferPointer<UInt64>) -> Bool {
    // A pair stands under at most three keys, one for each label.
    (0..<3).contains { unsafe isSorted(met, containing: UInt64(row.item) << 2 | $0) }
  }

  private func path(_ column: Column) -> String { "\(directory)/\(column.rawValue)" }
}
