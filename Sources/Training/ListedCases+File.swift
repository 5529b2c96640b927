package import Evaluation
import Fabric
package import Interactions
import Storage

extension ListedCases {
  /// Reads a file of candidate lists: for each shard of this rank, in order, the cases of its users.
  ///
  /// Every rank reads the whole file, so that all refuse the same line.
  ///
  /// - Parameters:
  ///   - path: Lines that name a user, the relevant item and candidates; see
  ///     ``CandidateListReader``. A user may have several.
  ///   - dataset: Knows the ids.
  ///   - context: Ranks and shards.
  /// - Returns: The cases of a shard in the order of the file.
  /// - Throws: `Failure`: data naming file and line for lines that are no lists and ids that the
  ///   dataset does not know, `inputOutput`.
  package static func read(
    _ path: String, dataset: Dataset, context: JobContext
  ) throws -> [ListedCases] {
    let run = context.tree.shards(of: context.group.rank)
    let (userIds, itemIds) = (try dataset.userIdentifiers(), try dataset.itemIdentifiers())
    let reader = try CandidateListReader(path: path)
    guard reader.namesPositive else {
      throw Failure.data(
        "\(path): the lines do not name the item that is ranked; expected (user,item) first")
    }
    var cases = run.map { _ in ListedCases() }
    while let list = try reader.next(
      users: { userIds.index(of: $0) }, items: { itemIds.index(of: $0) })
    {
      guard let positive = list.positive,
        let shard = run.firstIndex(where: { dataset.userRange(ofShard: $0).contains(list.user) })
      else { continue }
      cases[shard - run.lowerBound].append(
        user: UInt32(list.user), relevant: UInt32(positive),
        candidates: list.candidates.map { UInt32($0) })
    }
    return cases
  }
}
