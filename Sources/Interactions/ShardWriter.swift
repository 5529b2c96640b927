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
  /// Times of the rows, when sequences are to be written.
  let times: UnsafeMutableBufferPointer<UInt64>?
  /// Whether training rows of held-out pairs must be looked for.
  let isSplitHere: Bool
  /// Whether a pair may be in valid and in test.
  let allowsOverlap: Bool
  var manifest = ShardManifest()
  private let held: UserGroups
  private var marks: ItemMarks

  /// Prepares one shard of a dataset with `items` items.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  init(
    rows: UnsafeMutableBufferPointer<LogRow>, times: UnsafeMutableBufferPointer<UInt64>?,
    users: Range<Int>, items: Int, directory: String, scratch: String,
    _ options: PreparationOptions
  ) throws(Failure) {
    unsafe self.rows = unsafe rows
    unsafe self.times = unsafe options.keepsSequences ? times : nil
    self.users = users
    self.directory = directory
    self.scratch = scratch
    if case .split = options.source { isSplitHere = false } else { isSplitHere = true }
    allowsOverlap = options.allowsOverlap
    marks = ItemMarks(items: items)
    held = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, _ in
      row.split == .train ? nil : UInt64(row.item) << 1 | (row.split == .valid ? 0 : 1)
    }
    // Only looking for withheld rows needs an order.
    guard isSplitHere else { return }
    var sort = GroupSort()
    for user in 0..<users.count { unsafe sort(held.group(user)) }
  }

  /// Writes all columns.
  ///
  /// - Parameter census: Takes in what the rows say of users, items and pairs.
  /// - Throws: `Failure`: data for a pair that is in two splits, or `inputOutput`.
  mutating func write(_ census: inout Census) throws(Failure) {
    if isSplitHere { withholdRows(&census) }
    try writeTrain(&census)
    if let times = unsafe times { unsafe try writeSequences(orderedBy: times) }
    try writeExposures(&census)
    let met = try writeMet(&census)
    manifest.validRows = try writeHeldOut(
      .valid, (.validUsers, .validItems, .validLabels), met, &census)
    manifest.testRows = try writeHeldOut(.test, (.testUsers, .testItems, .testLabels), met, &census)
  }

  private func withholdRows(_ census: inout Census) {
    for index in unsafe rows.indices
    where unsafe rows[index].mayBeHeldOut && rows[index].isTraining {
      let item = unsafe UInt64(rows[index].item)
      let group = unsafe held.group(Int(rows[index].user) - users.lowerBound)
      guard let found = unsafe lowerBound(group, item << 1), found >> 1 == item else { continue }
      census.noteWithheld(unsafe rows[index])
      unsafe rows[index].label = .discarded
    }
  }

  private mutating func writeTrain(_ census: inout Census) throws(Failure) {
    var userColumn = try ColumnWriter<UInt32>(path: path(.trainUsers))
    var itemColumn = try ColumnWriter<UInt32>(path: path(.trainItems))
    var labelColumn = try ColumnWriter<UInt8>(path: path(.trainLabels))
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
    var offsetColumn = try ColumnWriter<UInt64>(path: path(.exposureOffsets))
    var itemColumn = try ColumnWriter<UInt32>(path: path(.exposureItems))
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
    var offsetColumn = try ColumnWriter<UInt64>(path: path(.metOffsets))
    var itemColumn = try ColumnWriter<UInt32>(path: path(.metItems))
    try offsetColumn.append(0)
    var sort = GroupSort()
    for user in 0..<users.count {
      let group = unsafe met.group(user)
      unsafe sort(group)
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
    var userColumn = try ColumnWriter<UInt32>(path: path(columns.users))
    var itemColumn = try ColumnWriter<UInt32>(path: path(columns.items))
    var labelColumn = try ColumnWriter<UInt8>(path: path(columns.labels))
    for user in 0..<users.count {
      let group = unsafe order.group(user)
      if group.count > 0 { mark(user, met, split) }
      if let times = unsafe times { unsafe sortByTime(group, times) }
      for position in 0..<group.count {
        let index = unsafe group[position]
        let row = unsafe rows[Int(index)]
        if let other = marks.split(of: Int(row.item)) {
          guard allowsOverlap, other == .valid else { throw census.leak(row, alsoIn: other) }
          census.report.overlappingRows += 1
        }
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

  /// Marks the items of a user that may not be in `split`: those of train, and for test those of
  /// valid. An item of both is one of train.
  private mutating func mark(_ user: Int, _ met: UserGroups, _ split: Split) {
    marks.clear()
    if split == .test {
      let group = unsafe held.group(user)
      for index in 0..<group.count where unsafe group[index] & 1 == 0 {
        marks.mark(unsafe Int(group[index] >> 1), as: .valid)
      }
    }
    let group = unsafe met.group(user)
    for index in 0..<group.count { marks.mark(unsafe Int(group[index] >> 2), as: .train) }
  }

  func path(_ column: Column) -> String { "\(directory)/\(column.rawValue)" }
}
