import Storage

/// The rows of one shard's users, mapped from their files.
///
/// Files are little-endian and so are the machines this program runs on. Everything a loop relies
/// on was checked when the shard was opened: lengths, checksums, users inside ``users``, items below
/// the number of items, labels 0 or 1, offsets ascending.
package final class Shard: Sendable {
  package let index: Int
  /// The dense ids of the users it owns.
  package let users: Range<Int>
  /// The dense ids of the item rows it owns; its rows may name any item of the dataset.
  package let itemRows: Range<Int>
  /// Items of the whole dataset.
  package let itemCount: Int
  /// Labeled training rows of all shards before this one: row `r` here has the global index
  /// `firstTrainRow + r`.
  package let firstTrainRow: Int
  /// Labeled training rows in file order.
  package let train: LabeledColumns
  /// Sorted by user, file order within a user.
  package let valid: LabeledColumns
  package let test: LabeledColumns
  /// Items that a user was exposed to without reaction, in file order; repetitions stay.
  package let exposures: CompressedRows
  /// Items of all training rows of a user, labeled and exposures: sorted, each once.
  package let met: CompressedRows
  /// The order in time, if the dataset keeps one.
  package let sequences: Sequences?

  /// Maps and checks the columns of a shard.
  ///
  /// - Throws: `Failure`: data naming a file that was altered, `inputOutput`.
  init(
    _ index: Int, of manifest: DatasetManifest, in directory: String, verify: Bool
  ) throws(Failure) {
    precondition(manifest.shards.indices.contains(index), "a shard must be in 0 ..< S")
    var files: [Column: MappedFile] = [:]
    for column in Column.all(of: manifest.shards[index]) {
      let path = "\(directory)/\(DatasetLayout.column(column, shard: index))"
      guard let expected = manifest.shards[index].columns[column.rawValue] else {
        throw .data("\(path) is not described in \(DatasetManifest.fileName)")
      }
      files[column] = try openColumn(path, expected, verify: verify)
    }
    let owner = ShardFiles(files)
    self.index = index
    users = manifest.userStarts[index]..<manifest.userStarts[index + 1]
    itemRows = manifest.itemStarts[index]..<manifest.itemStarts[index + 1]
    itemCount = manifest.items
    firstTrainRow = manifest.shards[..<index].reduce(0) { $0 + $1.trainRows }
    train = LabeledColumns(owner, users: .trainUsers, items: .trainItems, labels: .trainLabels)
    valid = LabeledColumns(owner, users: .validUsers, items: .validItems, labels: .validLabels)
    test = LabeledColumns(owner, users: .testUsers, items: .testItems, labels: .testLabels)
    exposures = CompressedRows(owner, offsets: .exposureOffsets, items: .exposureItems)
    met = CompressedRows(owner, offsets: .metOffsets, items: .metItems)
    sequences = manifest.shards[index].sequenceItems.map { _ in Sequences(owner) }
    if let column = firstInvalidColumn() {
      throw .data(
        "\(directory)/\(DatasetLayout.column(column, shard: index)): holds a value that is out of "
          + "range; prepare the dataset again")
    }
    for file in files.values { file.release() }
  }

  /// The dense id of a user as an index into ``exposures`` and ``met``.
  @inline(__always)
  package func local(_ user: UInt32) -> Int {
    Int(truncatingIfNeeded: user) &- users.lowerBound
  }

  private func firstInvalidColumn() -> Column? {
    if unsafe !areUsers(train.users, sorted: false) { return .trainUsers }
    if unsafe !areItems(train.items) { return .trainItems }
    if unsafe !areLabels(train.labels) { return .trainLabels }
    if unsafe !areOffsets(exposures.offsets, over: exposures.items.count) {
      return .exposureOffsets
    }
    if unsafe !areItems(exposures.items) { return .exposureItems }
    if unsafe !areOffsets(met.offsets, over: met.items.count) { return .metOffsets }
    if unsafe !areItems(met.items) || !areSets(met) { return .metItems }
    if unsafe !areUsers(valid.users, sorted: true) { return .validUsers }
    if unsafe !areItems(valid.items) { return .validItems }
    if unsafe !areLabels(valid.labels) { return .validLabels }
    if unsafe !areUsers(test.users, sorted: true) { return .testUsers }
    if unsafe !areItems(test.items) { return .testItems }
    if unsafe !areLabels(test.labels) { return .testLabels }
    return firstInvalidSequenceColumn()
  }

  private func areUsers(_ column: UnsafeBufferPointer<UInt32>, sorted: Bool) -> Bool {
    var previous: UInt32 = 0
    for row in 0..<column.count {
      let user = unsafe column[row]
      guard users.contains(Int(user)), !sorted || user >= previous else { return false }
      previous = user
    }
    return true
  }

  func areItems(_ column: UnsafeBufferPointer<UInt32>) -> Bool {
    unsafe column.allSatisfy { Int($0) < itemCount }
  }

  private func areLabels(_ column: UnsafeBufferPointer<UInt8>) -> Bool {
    unsafe column.allSatisfy { $0 <= 1 }
  }

  private func areSets(_ rows: CompressedRows) -> Bool {
    for user in 0..<rows.count {
      let items = unsafe rows[user]
      for position in items.indices.dropFirst() where unsafe items[position] <= items[position - 1]
      {
        return false
      }
    }
    return true
  }
}
