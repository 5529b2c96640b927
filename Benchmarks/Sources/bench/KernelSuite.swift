import Kernels
import Measuring

/// Kernels one by one: ns per row, bytes and operations per second, and the share of what the
/// machine's measured peaks allow.
enum KernelSuite {
  static let batch = 8192

  static func run(_ session: Session) throws {
    for factors in session.options.isQuick ? [32] : [16, 32, 64, 128] {
      // MovieLens-1M's tables, and tables far out of cache.
      measure(session, factors, .cached, users: 6040, items: 3706)
      measure(session, factors, .memory, users: 64_000_000 / factors, items: 32_000_000 / factors)
    }
    let graph = try GraphProblem(data: session.options.data)
    measure(session, KernelCase.propagations(graph, factors: 64), factors: 64, .cached)
    let plain = [KernelCase.permutation(batch: batch), try KernelCase.sampler(session)]
    measure(session, plain, factors: nil, .cached)
    printTable(session)
  }

  private static func measure(
    _ session: Session, _ factors: Int, _ residence: MachineSuite.Residence, users: Int, items: Int
  ) {
    for (name, optimizer, moments) in KernelCase.optimizers {
      // A table has the state of one optimizer; the other kernels use the last.
      let problem = BatchProblem(
        batches: residence == .cached ? 8 : 64, of: batch, users: users, items: items,
        factors: factors, optimizer: optimizer)
      var cases = [KernelCase.optimizer(name, optimizer, moments: moments, problem)]
      if optimizer == .adam {
        cases += [
          .forward(problem), .backwardUsers(problem), .backwardItems(problem),
          .candidates(problem),
        ]
        // These do not touch the tables.
        if residence == .cached {
          cases += [.sort(problem), .crossEntropy(problem), .inverseDual(problem)]
        }
      }
      measure(session, cases, factors: factors, residence)
    }
  }

  private static func measure(
    _ session: Session, _ cases: [KernelCase], factors: Int?, _ residence: MachineSuite.Residence
  ) {
    let least = session.options.isQuick ? 0.01 : 0.03
    // Pages are made and caches filled at the first visit, which is not what is measured.
    for item in cases { for _ in 0..<64 { item.body() } }
    let seconds = Rounds.measure(
      session.rounds,
      cases.map { item in { ProcessorClock.secondsPerCall(atLeast: least, item.body) } })
    for (item, time) in zip(cases, seconds) {
      var key = ["kernel": item.name, "residence": residence.rawValue]
      if let factors { key["factors"] = "\(factors)" }
      let work = item.work
      session.add(.kernels, "row_time", key, unit: "ns", time.map { 1e9 * $0 / work.rows })
      guard item.hasRoof, let factors,
        let roof = MachineSuite.roofline(
          session, rowBytes: 4 * factors, residence, updates: item.updates)
      else { continue }
      session.add(.kernels, "bandwidth", key, unit: "B/s", time.map { work.bytes / $0 })
      session.add(.kernels, "arithmetic", key, unit: "FLOP/s", time.map { work.operations / $0 })
      session.add(
        .kernels, "roofline_share", key, unit: "%", time.map { 100 * roof.leastSeconds(work) / $0 })
    }
  }

  private static func printTable(_ session: Session) {
    let rows = session.report.all("kernels", "row_time").map { row in
      func cell(_ name: String, _ scale: Double) -> String {
        session.report.find("kernels", name, row.parameters).map {
          Figure.short($0.median * scale)
        } ?? "–"
      }
      return [
        row.parameters["kernel"] ?? "", row.parameters["factors"] ?? "–",
        row.parameters["residence"] ?? "", Figure.spread(row.value, Figure.short),
        cell("bandwidth", 1e-9), cell("arithmetic", 1e-9), cell("roofline_share", 1),
      ]
    }
    print("batch \(batch), one core; a row of update and candidates is a row of the table,")
    print("a row of propagate an edge of the graph")
    print(
      TextTable(
        [
          .left("kernel"), .right("F"), .left("tables"), .right("ns per row"), .right("GB/s"),
          .right("GFLOP/s"), .right("% of roofline"),
        ], rows))
  }
}
