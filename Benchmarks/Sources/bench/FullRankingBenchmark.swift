import Measuring
import Storage

/// Ranking all items for all users, top 100 of each, with the metrics of the rankings.
///
/// What `inverse evaluate --protocol full` takes beyond `--protocol labeled`, in processor time and
/// round by round: both start, open the dataset and read the model.
enum FullRankingBenchmark {
  static func run(_ session: Session) throws {
    guard try session.inverse(["help", "evaluate"]).output.contains("--protocol") else {
      return session.skip(.evaluation, "full ranking", "this build of inverse has none")
    }
    let dataset = try session.logs.mainDataset()
    let run = session.freshPath("ranked")
    defer { try? Files.remove(run) }
    _ = try session.inverse(
      ["train", dataset, "--output", run, "--method", "bce", "--factors", "32", "--epochs", "1"])
    func contender(_ name: String) -> () throws -> Double {
      let arguments = ["evaluate", run, "--protocol", name, "--top-k", "100"]
      return { try session.inverse(arguments).processorSeconds }
    }
    let seconds = try Rounds.measure(session.rounds, [contender("full"), contender("labeled")])
    let difference = Summary(zip(seconds[0].samples, seconds[1].samples).map { $0 - $1 })
    session.add(.evaluation, "seconds", ["work": "full ranking"], unit: "s", difference)
    session.add(.evaluation, "process_seconds", ["work": "full ranking"], unit: "s", seconds[0])
    print(
      "full ranking, F 32, top 100, one rank: "
        + "\(Figure.spread(difference, Figure.short)) s beyond the labeled metrics' "
        + "\(Figure.spread(seconds[1], Figure.short)) s of processor time")
  }
}
