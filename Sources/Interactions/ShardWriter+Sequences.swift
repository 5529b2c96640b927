import Storage

extension ShardWriter {
  /// Writes the order in time of the labeled training rows: each user's positive ones as a sequence,
  /// and for each row, positive or not, how many of these come before it.
  ///
  /// - Parameter times: Of the rows of the shard; the order of the file decides where they are equal.
  /// - Throws: `Failure`: data for a shard with more rows than a position can name, `inputOutput`.
  mutating func writeSequences(
    orderedBy times: UnsafeMutableBufferPointer<UInt64>
  ) throws(Failure) {
    guard manifest.trainRows <= Int(UInt32.max) else {
      throw .data(
        "a shard has \(manifest.trainRows) labeled rows of train, but a sequence can tell "
          + "\(UInt32.max) apart; prepare with more --shards")
    }
    let trainRow = try trainRows()
    let positions = try ScratchBuffer<UInt32>(count: manifest.trainRows, in: scratch)
    let labeled = unsafe try UserGroups(rows, users: users, scratch: scratch) { row, index in
      row.isTraining && row.isLabeled ? UInt64(index) : nil
    }
    var offsetColumn = try ColumnWriter<UInt64>(path: path(.sequenceOffsets))
    var itemColumn = try ColumnWriter<UInt32>(path: path(.sequenceItems))
    var rowColumn = try ColumnWriter<UInt32>(path: path(.sequenceRows))
    var total = 0
    try offsetColumn.append(0)
    for user in 0..<users.count {
      let group = unsafe labeled.group(user)
      unsafe sortByTime(group, times)
      let start = total
      for position in 0..<group.count {
        let index = unsafe Int(group[position])
        let row = unsafe trainRow.elements[index]
        unsafe positions.elements[Int(row)] = UInt32(total - start)
        guard unsafe rows[index].label == .positive else { continue }
        unsafe try itemColumn.append(rows[index].item)
        try rowColumn.append(row)
        total += 1
      }
      try offsetColumn.append(UInt64(total))
    }
    manifest.sequenceItems = total
    manifest.columns[Column.sequenceOffsets.rawValue] = try offsetColumn.close()
    manifest.columns[Column.sequenceItems.rawValue] = try itemColumn.close()
    manifest.columns[Column.sequenceRows.rawValue] = try rowColumn.close()
    try writePositions(positions)
  }

  private mutating func writePositions(_ positions: ScratchBuffer<UInt32>) throws(Failure) {
    var column = try ColumnWriter<UInt32>(path: path(.trainPositions))
    for row in 0..<manifest.trainRows { unsafe try column.append(positions.elements[row]) }
    manifest.columns[Column.trainPositions.rawValue] = try column.close()
  }

  /// The labeled training row that each row of the shard becomes; of no meaning for other rows.
  private func trainRows() throws(Failure) -> ScratchBuffer<UInt32> {
    let trainRow = try ScratchBuffer<UInt32>(count: unsafe rows.count, in: scratch)
    var next: UInt32 = 0
    for index in unsafe 0..<rows.count {
      guard unsafe rows[index].isTraining && rows[index].isLabeled else { continue }
      unsafe trainRow.elements[index] = next
      next += 1
    }
    return trainRow
  }

  /// Sorts indices of rows, which ascend, by time; of the same time they still ascend.
  func sortByTime(
    _ group: UnsafeMutableBufferPointer<UInt64>, _ times: UnsafeMutableBufferPointer<UInt64>
  ) {
    // Most logs are in order already.
    var isSorted = true
    for position in 1..<max(1, group.count) {
      unsafe isSorted = isSorted && times[Int(group[position - 1])] <= times[Int(group[position])]
    }
    guard !isSorted else { return }
    var group = unsafe group
    unsafe group.sort { first, second in
      let (firstTime, secondTime) = unsafe (times[Int(first)], times[Int(second)])
      return firstTime != secondTime ? firstTime < secondTime : first < second
    }
  }
}
