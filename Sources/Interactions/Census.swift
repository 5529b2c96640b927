import Storage

/// What the rows of all shards say of users, items and pairs, and how a row is named in a message.
struct Census {
  var report = PreparationReport()
  /// One bit per split in which a dense id occurs.
  private var userSplits: [UInt8]
  private var itemSplits: [UInt8]
  /// The external ids of a dense pair, and the file of a split.
  private let describe: (_ user: Int, _ item: Int) -> String
  private let path: (Split) -> String

  init(
    users: Int, items: Int, describe: @escaping (_ user: Int, _ item: Int) -> String,
    path: @escaping (Split) -> String
  ) {
    userSplits = [UInt8](repeating: 0, count: users)
    itemSplits = [UInt8](repeating: 0, count: items)
    self.describe = describe
    self.path = path
  }

  /// Takes in a row that goes into the dataset.
  mutating func note(_ row: LogRow) {
    let bit: UInt8 = 1 << row.split.rawValue
    userSplits[Int(row.user)] |= bit
    itemSplits[Int(row.item)] |= bit
    guard row.isLabeled else {
      report.exposures += 1
      return
    }
    let positive = row.label == .positive ? 1 : 0
    switch row.split {
    case .train:
      report.train.rows += 1
      report.train.positives += positive
    case .valid:
      report.valid.rows += 1
      report.valid.positives += positive
    case .test:
      report.test.rows += 1
      report.test.positives += positive
    }
  }

  /// Takes in a pair with more than one training row.
  mutating func noteRepetition(isConflict: Bool) {
    report.repeatedPairs += 1
    if isConflict { report.conflictingPairs += 1 }
  }

  /// Takes in a training row that leaves the dataset because its pair is held out.
  mutating func noteWithheld(_ row: LogRow) {
    if row.isLabeled { report.withheldLabels += 1 } else { report.withheldExposures += 1 }
  }

  /// The failure for a row whose pair is in another split as well.
  func leak(_ row: LogRow, alsoIn other: Split) -> Failure {
    .data(
      "\(path(row.split)):\(row.line): pair \(describe(Int(row.user), Int(row.item))) is also in "
        + "\(other.name); a pair that is judged must be new, remove one of the two rows"
        + (other == .valid ? ", or take both with --allow-overlap" : ""))
  }

  /// The report with the ids that train does not know.
  func finished() -> PreparationReport {
    func unknown(_ splits: [UInt8], _ split: Split) -> Int {
      splits.count { $0 & 1 == 0 && $0 & 1 << split.rawValue != 0 }
    }
    var report = report
    report.valid.usersUnknownToTrain = unknown(userSplits, .valid)
    report.valid.itemsUnknownToTrain = unknown(itemSplits, .valid)
    report.test.usersUnknownToTrain = unknown(userSplits, .test)
    report.test.itemsUnknownToTrain = unknown(itemSplits, .test)
    return report
  }
}
