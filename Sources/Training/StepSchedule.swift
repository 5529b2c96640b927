/// Which rule takes which step.
///
/// With `--inner-share x` the inverse gradient takes the share x of the steps, evenly spread, and
/// plain supervised steps the rest: step `n` is an inverse gradient step if ⌊(n+1)x⌋ > ⌊nx⌋. The
/// reference implementation's schedule is x = 0.1.
package struct StepSchedule {
  private let main: any UpdateRule
  private let plain: any UpdateRule
  private let share: Double
  /// What all rules tell of their numbers.
  let numbers: NumericalGuard

  package init(
    _ configuration: TrainingConfiguration, model: Model, source: any RowSource,
    context: JobContext, numbers: NumericalGuard? = nil
  ) {
    let numbers = numbers ?? NumericalGuard(configuration, model: model, context: context)
    self.numbers = numbers
    func supervised(_ method: Method) -> SupervisedRule {
      SupervisedRule(
        method: method, configuration: configuration, model: model, source: source,
        context: context, numbers: numbers)
    }
    switch configuration.method {
    case .ig:
      main = InverseGradientRule(
        configuration: configuration, model: model, source: source, context: context,
        numbers: numbers)
      share = configuration.innerShare
      plain = share < 1 ? supervised(.bce) : main
    case .bce, .negatives, .idl, .tce, .rce, .bpr:
      main = supervised(configuration.method)
      plain = main
      share = 1
    }
  }

  /// The rule of step `number` of the run, from 0.
  package func rule(for number: Int) -> any UpdateRule {
    Self.isMain(number, share: share) ? main : plain
  }

  /// Whether step `number` of the run, from 0, is one of the share `share` that the main rule takes.
  package static func isMain(_ number: Int, share: Double) -> Bool {
    taken(number + 1, share) > taken(number, share)
  }

  /// How many of the first `steps` steps are the main rule's.
  private static func taken(_ steps: Int, _ share: Double) -> Double {
    // 90 · 0.7 must be 63: two roundings cost a relative 2⁻⁵², which this more than gives back.
    (Double(steps) * share * (1 + 2 * .ulpOfOne)).rounded(.down)
  }
}
