import Measuring

/// What evaluation costs, scores given, and full ranking.
enum EvaluationSuite {
  static func run(_ session: Session) throws {
    try LabeledBenchmark.run(session)
    try FullRankingBenchmark.run(session)
  }
}
