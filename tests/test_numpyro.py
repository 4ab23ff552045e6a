"""Fitted densities in NumPyro: as priors and likelihoods, under jit, grad, vmap and NUTS."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_flows import flow_of
from scipy.stats import kstest
from small_fits import ends_early, small

from brenier import ConditionalConvexPotentialFlow

numpyro = pytest.importorskip(
    "numpyro", reason='numpyro is not installed: pip install "brenier[numpyro]"'
)
dist = pytest.importorskip("numpyro.distributions")
infer = pytest.importorskip("numpyro.infer")
ours = pytest.importorskip("brenier.numpyro")

pytestmark = ends_early
# In float32, NumPyro's default: it does not run in both precisions in one process.
SINGLE = 2e-4


def drawn(model, *args, n=1000, seed=0):
    sampler = infer.MCMC(
        infer.NUTS(model), num_warmup=300, num_samples=n, num_chains=1, progress_bar=False
    )
    sampler.run(jax.random.key(seed), *args)
    assert not np.any(sampler.get_extra_fields()["diverging"])
    return np.asarray(sampler.get_samples()["theta"])


def test_a_posterior_with_a_gaussian_learnt_as_prior():
    # Of a Gaussian prior and a Gaussian likelihood of a . theta the posterior is known.
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.0], [0.6, 1.2]])
    X = rng.normal(size=(3000, 2)) @ root.T + [1.0, -1.0]
    prior = ours.ConvexPotential(small(widths=(3,), decay=0.1).fit(X))
    a, sd, y = np.array([1.0, 1.0]), 0.5, 2.0

    def model(y):
        theta = numpyro.sample("theta", prior)
        numpyro.sample("y", dist.Normal(theta @ jnp.asarray(a, jnp.float32), sd), obs=y)

    theta = drawn(model, y)
    precision = np.linalg.inv(np.cov(X.T))
    covariance = np.linalg.inv(precision + np.outer(a, a) / sd**2)
    mean = covariance @ (precision @ X.mean(axis=0) + a * y / sd**2)
    # Means of some 300 effective draws, and a prior that is a Gaussian but for a fit's error.
    np.testing.assert_allclose(theta.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(theta.T), covariance, atol=0.15)
    # What the prior alone says is far from that.
    assert np.abs(X.mean(axis=0) - mean).max() > 0.5


def test_nuts_keeps_to_the_bounds_and_gives_the_prior_back():
    flow, _ = flow_of("two bounded columns")
    prior = ours.ConvexPotential(flow)
    theta = drawn(lambda: numpyro.sample("theta", prior))
    low, high = flow.limits
    assert ((low < theta) & (theta < high)).all()
    Z = np.asarray(flow.transform(theta))[::5]
    assert min(kstest(z, "norm").pvalue for z in Z.T) > 1e-3


@pytest.mark.parametrize("name", ["two columns", "two bounded columns"])
def test_log_prob_is_the_density_in_any_shape_and_calls_nothing_back(name):
    flow, X = flow_of(name)
    prior = ours.ConvexPotential(flow, validate_args=True)
    X = jnp.asarray(X[:12])
    expected = jax.jit(flow.log_density)(X)
    np.testing.assert_allclose(jax.jit(prior.log_prob)(X), expected, rtol=SINGLE)
    np.testing.assert_allclose(jax.jit(jax.vmap(prior.log_prob))(X), expected, rtol=SINGLE)
    shaped = prior.log_prob(X.reshape(3, 4, 2))
    np.testing.assert_allclose(shaped, expected.reshape(3, 4), rtol=SINGLE)
    slope = jax.grad(prior.log_prob)
    assert "callback" not in str(jax.make_jaxpr(slope)(X[0]))
    of_flow = jax.jit(jax.grad(flow.log_density))(X[0])
    np.testing.assert_allclose(jax.jit(slope)(X[0]), of_flow, rtol=SINGLE)
    many = jax.jit(lambda key: prior.expand([5]).sample(key, (3,)))(jax.random.key(0))
    assert many.shape == (3, 5, 2)
    assert prior.support(many).all()
    draw = jax.jit(lambda prior, key: prior.sample(key))
    assert draw(prior, jax.random.key(0)).shape == (2,)


def test_the_support_is_reached_from_all_numbers():
    flow, X = flow_of("two bounded columns")
    support = ours.ConvexPotential(flow).support
    to_support = dist.biject_to(support)
    u = jnp.array([[-3.0, 2.0], [0.5, -1.0]])
    x = to_support(u)
    assert support(x).all()
    np.testing.assert_allclose(to_support._inverse(x), u, rtol=1e-4, atol=1e-4)
    slopes = jax.jit(jax.vmap(jax.jacrev(to_support)))(u)
    expected = np.linalg.slogdet(slopes)[1]
    np.testing.assert_allclose(to_support.log_abs_det_jacobian(u, x), expected, rtol=1e-4)
    assert not support(jnp.array([-1.0, 0.5]))
    assert support(support.feasible_like(X[0]))
    assert support == ours.ConvexPotential(flow).support


def test_a_conditional_density_is_a_likelihood():
    rng = np.random.default_rng(0)
    context = rng.normal(size=(112, 1))
    y = 2 * context + 0.3 * rng.normal(size=(112, 1))
    few = {"n_estimators": 1, "max_iter": 10, "validation_fraction": 0.0}
    flow = ConditionalConvexPotentialFlow(widths=(3,), context_widths=(3,), n_gates=1, **few)
    flow.fit(context, y)
    likelihood = ours.ConvexPotential(flow, context[:7])
    assert likelihood.batch_shape == (7,)
    np.testing.assert_allclose(
        jax.jit(likelihood.log_prob)(y[:7]),
        flow.score_samples(context[:7], y[:7]),
        rtol=1e-3,
        atol=1e-3,
    )
    sample = jax.jit(likelihood.sample, static_argnums=1)
    assert sample(jax.random.key(0), (2,)).shape == (2, 7, 1)
    with pytest.raises(ValueError, match="Expected a context of 1 columns; got 0"):
        ours.ConvexPotential(flow)
