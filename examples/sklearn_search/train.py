"""Looks for the best classifier of the wine data that scikit-learn brings along, and saves it.

It knows nothing of mlotel. `python train.py` runs it, `mlotel run train.py` records what it does.
"""

from pathlib import Path

import joblib
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

wine = load_wine(as_frame=True)
train, test, y_train, y_test = train_test_split(wine.data, wine.target, test_size=0.3, random_state=0)
pipeline = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=500))])
search = GridSearchCV(pipeline, {"model__C": [0.01, 0.1, 1.0]}, cv=3, n_jobs=2)
search.fit(train, y_train)

best = search.best_estimator_
joblib.dump(best, Path("model.joblib"))
print(f"C = {search.best_params_['model__C']:g}, accuracy {best.score(test, y_test):.3f}")
