import Backbones

/// MLP and NeuMF in `Double`, pair by pair, from the formula alone, with all parameters in one list.
///
///     J = Σ δ · vᵀ [p' ⊙ q' ; tower([p ; q])] + c
struct TowerOracle {
  let problem: PassProblem
  /// `F`, `L`, and `G`, which is 0 for MLP.
  let factors: Int
  let layers: Int
  let productFactors: Int
  /// Whether everything is replaced by its size and every unit is active: what rounding errors are
  /// proportional to.
  var isAbsolute = false

  private var width: Int { factors << (layers - 1) }
  private var stride: Int { productFactors + width }

  /// Users, items, dense parameters.
  var parameters: [Double] {
    (problem.users + problem.items + problem.dense).map {
      isAbsolute ? abs(Double($0)) : Double($0)
    }
  }

  struct Value {
    var scores: [Double] = []
    var sum = 0.0
    /// Which units are active, row after row.
    var mask: [Bool] = []
    /// How near a unit is to being switched.
    var nearest = Double.infinity
  }

  func evaluate(_ parameters: [Double]) -> Value {
    var value = Value()
    let items = problem.users.count
    let dense = items + problem.items.count
    for row in problem.userIndex.indices {
      let p = Int(problem.userIndex[row]) * stride
      let q = items + Int(problem.itemIndex[row]) * stride
      var x = Array(parameters[p + productFactors..<p + stride])
      x += parameters[q + productFactors..<q + stride]
      var place = dense
      for layer in 0..<layers {
        let (inputs, outputs) = (factors << (layers - layer), factors << (layers - layer - 1))
        x = (0..<outputs).map { unit in
          var sum = parameters[place + inputs * outputs + unit]
          for input in 0..<inputs { sum += parameters[place + unit * inputs + input] * x[input] }
          value.mask.append(isAbsolute || sum > 0)
          value.nearest = min(value.nearest, abs(sum))
          return isAbsolute ? sum : max(sum, 0)
        }
        place += inputs * outputs + outputs
      }
      let product = (0..<productFactors).map { parameters[p + $0] * parameters[q + $0] }
      var score = parameters[place + productFactors + factors]
      for (feature, input) in (product + x).enumerated() {
        score += parameters[place + feature] * input
      }
      let delta = Double(problem.scoreGradients[row])
      value.scores.append(score)
      value.sum += (isAbsolute ? abs(delta) : delta) * score
    }
    return value
  }

  /// Central differences of J by every parameter, and whether some step switched a unit.
  ///
  /// J is linear in each single parameter as long as no unit is switched, so a difference is exact but
  /// for the rounding of J, 2⁻⁵³ of its terms, divided by the step.
  func differences() -> (gradient: [Double], isSmooth: Bool) {
    let step = 0x1p-20
    var moved = parameters
    let mask = evaluate(moved).mask
    var isSmooth = true
    let gradient = moved.indices.map { place in
      let kept = moved[place]
      moved[place] = kept + step
      let above = evaluate(moved)
      moved[place] = kept - step
      let below = evaluate(moved)
      moved[place] = kept
      isSmooth = isSmooth && above.mask == mask && below.mask == mask
      return (above.sum - below.sum) / (2 * step)
    }
    return (gradient, isSmooth)
  }

  /// Roundings on the way of a number from a parameter to the score and back to a gradient: one per
  /// term of each sum, forward and backward, and of the sum over rows.
  var roundings: Int {
    let layers = (0..<layers).map { factors << (self.layers - $0) }
    return layers.reduce(0) { $0 + $1 + 1 + $1 / 2 + 1 } + 2 * (productFactors + factors) + 3
      + PassProblem.rowCount
  }
}
