"""Human pose: the models, the landmarks they give, and the estimator that runs them."""
