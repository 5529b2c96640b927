/// How ranks lie on machines.
enum MachineLayout: CaseIterable, Sendable {
  /// All on one machine; each on its own.
  case one, apart
  /// Two to a machine, the last perhaps alone; the first alone and the others together.
  case pairs, lonely
  /// Neighbouring ranks never together; without any order, on three machines.
  case interleaved, scattered

  /// Those on which messages travel.
  static let several = allCases.filter { $0 != .one }

  /// For each rank its machine.
  func machines(ranks: Int) -> [Int] {
    (0..<ranks).map { rank in
      switch self {
      case .one: 0
      case .apart: rank
      case .pairs: rank / 2
      case .lonely: min(rank, 1)
      case .interleaved: rank % 2
      case .scattered: [0, 1, 1, 0, 2, 0, 1, 2][rank % 8]
      }
    }
  }
}
