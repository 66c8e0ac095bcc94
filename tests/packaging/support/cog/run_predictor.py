"""setup(), then one prediction for each line of JSON on standard input: its output, or its error, as a line of JSON."""

import inspect
import json
import sys

from predict import Predictor

predictor = Predictor()
try:
    predictor.setup()
    defaults = {name: p.default for name, p in inspect.signature(predictor.predict).parameters.items()}
    for line in sys.stdin:
        try:
            answer = {"output": predictor.predict(**{**defaults, **json.loads(line)})}
        except RuntimeError as error:
            answer = {"error": str(error)}
        sys.stdout.write("answer " + json.dumps(answer) + "\n")
finally:
    predictor.runner.terminate()
    predictor.runner.wait()
