"""Human pose: the models, the landmarks they give, and the estimator that runs them."""

INPUT_WIDTH_PX = 640
"""Pictures are halved down to this width, but not below. The networks see 224 and 256 px: more than this
costs conversion and gains nothing."""
