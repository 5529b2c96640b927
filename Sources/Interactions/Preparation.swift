package import Storage

/// Turns interaction logs into a dataset directory.
///
/// Rows with a rating become labels, 1 from `positiveFrom` on; rows without become exposures
/// without reaction. Every line is one observation and is kept, repeated pairs too; but a pair of
/// valid or test that is also in train, or in both, is a leak and refused. Users and items that
/// only valid or test know are accepted and counted. The files are described in docs/formats.md.
///
/// The same logs and options give the same bytes.
package enum Preparation {
  /// Prepares a dataset.
  ///
  /// Rows pass through scratch files: memory grows with the ids and the largest shard's offsets,
  /// not with the log. After an error, or when the process is killed, nothing is left under
  /// `output`.
  ///
  /// - Parameters:
  ///   - options: The logs and the rules.
  ///   - output: The directory to make; it may exist only when empty.
  /// - Returns: What was found and made.
  /// - Throws: `Failure`: usage for impossible options or an `output` in use, data naming file and
  ///   line for a log that cannot be used, `inputOutput`.
  /// - Complexity: O(rows · log(rows per user) + ids · log ids) time.
  package static func run(
    _ options: PreparationOptions, output: String
  ) throws(Failure) -> PreparationReport {
    try options.validate()
    let staged = try StagedDirectory(destination: output)
    let scratch = staged.file("scratch")
    try Files.createDirectory(scratch)
    let spool = "\(scratch)/rows"
    let times = "\(scratch)/times"
    let ingestion = try Ingestion(options, spool: spool, times: times)
    guard Thinning(count: ingestion.labeled[0], options).kept > 0 else {
      throw .data(
        "a label fraction of \(options.labelFraction) leaves none of the \(ingestion.labeled[0]) "
          + "labeled rows of train; raise it")
    }
    let distribution = try Distribution(
      ingestion, spool: spool, times: times, scratch: scratch, options)
    try Files.remove(spool)
    if options.needsTimes { try Files.remove(times) }

    var manifest = DatasetManifest(
      version: options.version, users: ingestion.users.count, items: ingestion.items.count,
      shardCount: options.shards,
      userStarts: distribution.users.starts, itemStarts: distribution.items.starts,
      rule: LabelRule(options), sources: ingestion.sources, shards: [], identifiers: [:])
    var census = census(ingestion, distribution, options)
    manifest.shards = try writeShards(distribution, options, staged, scratch, &census)
    manifest.identifiers = try writeIdentifiers(ingestion, distribution, staged)
    manifest.fingerprint = manifest.computedFingerprint()

    try Files.remove(scratch)
    // The description comes last: a directory without it is no dataset.
    try Files.replace(staged.file(DatasetManifest.fileName), with: manifest.encoded())
    try staged.commit()
    return report(census, manifest, thinned: distribution.thinned)
  }

  private static func writeShards(
    _ distribution: Distribution, _ options: PreparationOptions, _ staged: StagedDirectory,
    _ scratch: String, _ census: inout Census
  ) throws(Failure) -> [ShardManifest] {
    var manifests: [ShardManifest] = []
    for shard in 0..<options.shards {
      let directory = staged.file(DatasetLayout.shard(shard))
      try Files.createDirectory(directory)
      let starts = distribution.users.starts
      var writer = unsafe try ShardWriter(
        rows: distribution.rows(ofShard: shard), times: distribution.times(ofShard: shard),
        users: starts[shard]..<starts[shard + 1], items: distribution.items.dense.count,
        directory: directory, scratch: scratch, options)
      try writer.write(&census)
      try Files.synchronize(directory)
      manifests.append(writer.manifest)
    }
    try Files.synchronize(staged.file("shards"))
    return manifests
  }

  private static func writeIdentifiers(
    _ ingestion: Ingestion, _ distribution: Distribution, _ staged: StagedDirectory
  ) throws(Failure) -> [String: ColumnManifest] {
    let directory = staged.file(DatasetLayout.identifiers)
    try Files.createDirectory(directory)
    let parts = [
      ("users", ingestion.users, distribution.users),
      ("items", ingestion.items, distribution.items),
    ]
    var columns: [String: ColumnManifest] = [:]
    for (name, builder, assignment) in parts {
      let (offsets, bytes) = try builder.write(
        in: assignment.appearance, offsets: "\(directory)/\(name).offsets",
        bytes: "\(directory)/\(name).bytes")
      columns["\(name).offsets"] = offsets
      columns["\(name).bytes"] = bytes
    }
    try Files.synchronize(directory)
    return columns
  }

  private static func census(
    _ ingestion: Ingestion, _ distribution: Distribution, _ options: PreparationOptions
  ) -> Census {
    Census(
      users: ingestion.users.count, items: ingestion.items.count,
      describe: { user, item in
        let user = Int(distribution.users.appearance[user])
        let item = Int(distribution.items.appearance[item])
        let userText = unsafe excerpt(ingestion.users.identifier(user))
        let itemText = unsafe excerpt(ingestion.items.identifier(item))
        return "(\(userText), \(itemText))"
      },
      path: { split in
        switch (options.source, split) {
        case (.whole(let path, _), _), (.leaveOneOut(let path), _),
          (.split(let path, _, _), .train), (.split(_, let path?, _), .valid),
          (.split(_, _, let path), .test):
          path
        case (.split(_, nil, _), .valid): "valid"
        }
      })
  }

  private static func report(
    _ census: Census, _ manifest: DatasetManifest, thinned: Int
  ) -> PreparationReport {
    var report = census.finished()
    report.users = manifest.users
    report.items = manifest.items
    report.shards = manifest.shardCount
    report.thinned = thinned
    report.fingerprint = manifest.fingerprint
    let loads = manifest.shards.map { $0.trainRows + $0.exposureRows }
    report.imbalance =
      Double(loads.max() ?? 0) * Double(loads.count) / Double(max(1, loads.reduce(0, +)))
    return report
  }
}

extension LabelRule {
  /// The part of the options that shapes labels and splits.
  init(_ options: PreparationOptions) {
    var fractions: [Double]?
    if case .whole(_, let given) = options.source { fractions = given }
    let isFirst = options.version == 1
    self.init(
      positiveFrom: options.positiveFrom, labelFraction: options.labelFraction,
      thinned: options.thinned, fractions: fractions, seed: options.seed,
      unrated: isFirst ? nil : options.unrated,
      split: isFirst ? nil : SplitRule(options.source))
  }
}

extension SplitRule {
  fileprivate init(_ source: PreparationOptions.Source) {
    switch source {
    case .split: self = .given
    case .whole: self = .fractions
    case .leaveOneOut: self = .leaveOneOut
    }
  }
}

extension PreparationOptions {
  /// The oldest version of the format that can say what these options make: the same log and options
  /// give the same bytes as a program that knows only that version.
  var version: Int {
    if case .leaveOneOut = source { return 2 }
    return unrated == .exposure && !keepsSequences && hasValid ? 1 : 2
  }
}
