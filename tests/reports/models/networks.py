"""Small models with weights from a seed, and data for them."""

import torch

nn = torch.nn


def convolutional(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, (2, 1), groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 3 * 4, 5),
    )


def images(count=96, seed=1):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).cumsum(-1)


class Sentences(nn.Module):
    """Embedding, attention, a feed-forward layer; called with a dictionary."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(9, 4)
        self.block = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens, mask=None):
        return self.head(self.block(self.embed(tokens)).mean(1))


def tokens(count=96):
    return torch.randint(0, 9, (count, 5), generator=torch.Generator().manual_seed(2))
