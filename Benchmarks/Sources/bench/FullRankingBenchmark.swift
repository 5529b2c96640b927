import Measuring

/// Ranking all items for all users, top 100 of each.
enum FullRankingBenchmark {
  static func run(_ session: Session) throws {
    session.skip(.evaluation, "full ranking", "this build of inverse has none")
  }
}
